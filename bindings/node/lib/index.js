"use strict";

const { Authorizer, Decision } = require("./authorizer.js");

exports.Authorizer = Authorizer;
exports.Decision = Decision;
