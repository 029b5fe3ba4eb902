// Package fetch gets pages of the example programs.
package fetch

import (
	"context"
	"io"
	"net/http"
)

// Page returns the page at a URL, whatever its status. No connection is kept, which would
// outlive a program that ends.
func Page(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
