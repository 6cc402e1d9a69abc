// The same for CommonJS.
import jeton = require("jeton");
import express = require("jeton/express");

express.protect(new jeton.Authorizer({ issuer: "https://tokens.example.com", api: "orders" }));
