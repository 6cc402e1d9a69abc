// Go's x/oauth2 gets and uses a token, and go-oidc finds the keys by discovery and checks one.
//
//	oidc BASE_URL      the server has the policies beside this file
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	oidc "github.com/coreos/go-oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const orders = "https://orders.example.com"

var checks = 0

func holds(name string, does bool, seen interface{}) {
	if !does {
		fmt.Fprintf(os.Stderr, "error: %s: %v\n", name, seen)
		os.Exit(1)
	}
	checks++
	fmt.Println("ok:", name)
}

func refused(name, words string, err error) {
	holds(name+": "+words, err != nil && strings.Contains(err.Error(), words), err)
}

func main() {
	base := os.Args[1]
	http.DefaultClient.Timeout = 10 * time.Second
	ctx := context.Background()
	config := func(client, secret, resource string, scopes ...string) *clientcredentials.Config {
		return &clientcredentials.Config{
			ClientID: client, ClientSecret: secret, TokenURL: base + "/oauth2/token", Scopes: scopes,
			EndpointParams: url.Values{"resource": {resource}},
		}
	}
	const secret = "interop-secret-of-reader"

	// --- x/oauth2

	var principal struct{ Client string }
	answer, err := config("reader", secret, base).Client(ctx).Get(base + "/principal")
	if err == nil {
		err = json.NewDecoder(answer.Body).Decode(&principal)
	}
	holds("x/oauth2 gets a token and uses it", err == nil && principal.Client == "reader", err)
	inForm := config("reader", secret, base)
	inForm.AuthStyle = oauth2.AuthStyleInParams
	_, err = inForm.Token(ctx)
	holds("it sends the secret in the form", err == nil, err)
	answer, err = config("reader", secret, orders).Client(ctx).Get(base + "/principal")
	holds("a token for another audience is refused", err == nil && answer.StatusCode == http.StatusUnauthorized, err)
	_, err = config("reader", "wrong", base).Token(ctx)
	refused("a wrong secret", "invalid_client", err)
	_, err = config("reader", secret, base, "jeton:ops").Token(ctx)
	refused("a scope beyond the grant", "not granted to this client: jeton:ops", err)

	// --- go-oidc

	provider, err := oidc.NewProvider(ctx, base)
	holds("go-oidc takes the metadata", err == nil, err)
	token, err := config("reader", secret, orders).Token(ctx)
	holds("there is a token to check", err == nil, err)
	checked, err := provider.Verifier(&oidc.Config{ClientID: orders}).Verify(ctx, token.AccessToken)
	holds("go-oidc takes it", err == nil && checked.Subject == "reader", err)
	_, err = provider.Verifier(&oidc.Config{ClientID: base}).Verify(ctx, token.AccessToken)
	refused("a token for another audience", `expected audience "`+base+`" got ["`+orders+`"]`, err)
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	_, err = provider.Verifier(&oidc.Config{ClientID: orders, Now: later}).Verify(ctx, token.AccessToken)
	refused("a token that has expired", "token is expired", err)
	parts := strings.Split(token.AccessToken, ".")
	other, err := config("reader", secret, orders, "orders:read").Token(ctx)
	holds("there is another token", err == nil, err)
	parts[2] = strings.Split(other.AccessToken, ".")[2]
	_, err = provider.Verifier(&oidc.Config{ClientID: orders}).Verify(ctx, strings.Join(parts, "."))
	refused("the signature of another token", "failed to verify signature", err)

	fmt.Println(checks, "checks by x/oauth2 and go-oidc hold")
}
