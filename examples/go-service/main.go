// The orders API of the sample, in Go. jeton decides: no line here is about tokens.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func orders(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		w.WriteHeader(http.StatusOK)
		return
	}
	// /tenants/{tenant}/orders, which the policies allow to whom they name
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 4 || parts[3] != "orders" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"tenant":  parts[2],
		"read_by": Caller(r).Get("X-Auth-Client"),
		"orders":  []map[string]any{{"order": 42, "total": "99.00"}},
	})
}

func main() {
	server := &http.Server{
		Addr:              "127.0.0.1:" + os.Getenv("PORT"),
		Handler:           Protect(os.Getenv("AUTHZ"), http.HandlerFunc(orders)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
