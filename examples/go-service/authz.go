package main

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"time"
)

// One client for all requests, so that connections to jeton stay open. An answer that is late is a refusal.
var jeton = &http.Client{
	Timeout:       2 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: 30 * time.Second},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

type callerKey struct{}

// Caller is what jeton says of who asks: X-Auth-Client, X-Auth-Scopes and so on. Never take these from the request.
func Caller(r *http.Request) http.Header {
	caller, _ := r.Context().Value(callerKey{}).(http.Header)
	return caller
}

// Protect asks jeton at the address authz about each request, and calls next only after a yes.
func Protect(authz string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, authz, nil)
		if err != nil {
			http.Error(w, "jeton has no address", http.StatusServiceUnavailable)
			return
		}
		// the target as it was sent: r.URL.Path is decoded, and another path could look the same
		ask.Header.Set("X-Original-Method", r.Method)
		ask.Header.Set("X-Original-URI", r.RequestURI)
		// all of them: jeton refuses two tokens, two proofs, and a header that changes the method
		for _, name := range []string{"Authorization", "Dpop", "X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
			ask.Header[name] = r.Header[name]
		}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 { // the client's, which it showed to this server (RFC 9440)
			ask.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(r.TLS.PeerCertificates[0].Raw)+":")
		}
		answer, err := jeton.Do(ask)
		if err != nil {
			http.Error(w, "jeton cannot be asked", http.StatusServiceUnavailable)
			return
		}
		defer answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusOK:
			io.Copy(io.Discard, answer.Body) // else the connection does not stay open
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, answer.Header)))
		case http.StatusUnauthorized, http.StatusForbidden:
			for _, name := range []string{"Www-Authenticate", "Content-Type"} {
				w.Header()[name] = answer.Header[name]
			}
			w.WriteHeader(answer.StatusCode)
			io.Copy(w, answer.Body)
		default:
			http.Error(w, "jeton gives no answer", http.StatusServiceUnavailable)
		}
	})
}
