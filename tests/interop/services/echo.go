// What stands behind the middleware of examples/go-service in tests: it passes on what a handler is told, byte by byte.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

func passOn(w http.ResponseWriter, r *http.Request) {
	upstream, err := net.Dial("tcp", os.Getenv("UPSTREAM"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer upstream.Close()
	lines := []string{r.Method + " " + r.RequestURI + " HTTP/1.1", "Host: " + r.Host, "Connection: close"}
	for _, name := range []string{"X-Row", "X-Jeton-Check"} {
		for _, value := range r.Header[name] {
			lines = append(lines, name+": "+value)
		}
	}
	for name, values := range Caller(r) {
		if strings.HasPrefix(name, "X-Auth-") {
			lines = append(lines, name+": "+values[0])
		}
	}
	fmt.Fprint(upstream, strings.Join(lines, "\r\n")+"\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(upstream), r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

func main() {
	server := &http.Server{
		Addr:      "127.0.0.1:" + os.Getenv("PORT"),
		Handler:   Protect(os.Getenv("AUTHZ"), http.HandlerFunc(passOn)),
		TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert},
	}
	if certificate := os.Getenv("CERT"); certificate != "" {
		log.Fatal(server.ListenAndServeTLS(certificate, os.Getenv("KEY")))
	}
	log.Fatal(server.ListenAndServe())
}
