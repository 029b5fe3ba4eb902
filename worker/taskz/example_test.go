package taskz_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/taskspan/taskspan/worker"
	"github.com/taskspan/taskspan/worker/taskz"
)

func Example() {
	page := taskz.New(nil, taskz.WithTitle("billing-worker"))
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/debug/tasks", page)

	// Then, in the worker:
	err := worker.Run(context.Background(), "invoices.close", func(context.Context) error { return nil })
	if err != nil {
		log.Print(err)
	}

	// As curl localhost:8080/debug/tasks?view=recent sees it.
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/debug/tasks?view=recent", nil))
	fmt.Println(strings.Fields(answer.Body.String())[0])
	fmt.Println(strings.Contains(answer.Body.String(), "invoices.close"))
	// Output:
	// billing-worker
	// true
}
