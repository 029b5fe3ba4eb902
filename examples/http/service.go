package main

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/taskspan/taskspan/worker"
)

// requestTimeout is how long a request may take.
const requestTimeout = 5 * time.Second

// service answers requests. Each of them is a task, except those about the
// service itself.
type service struct {
	store *store

	put   func(context.Context, product) (product, error)
	place func(context.Context, order) (order, error)
}

func newService(s *store) *service {
	return &service{
		store: s,
		put:   worker.Wrap("products.put", s.put),
		place: worker.Wrap("orders.place", s.place),
	}
}

// routes registers the service with mux.
func (s *service) routes(mux *http.ServeMux) {
	handle := func(pattern string, h http.HandlerFunc) {
		limited := func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
			defer cancel()
			h(w, r.WithContext(ctx))
		}
		mux.Handle(pattern, otelhttp.NewHandler(http.HandlerFunc(limited), pattern))
	}
	handle("PUT /products/{name}", s.putProduct)
	handle("PUT /orders/{id}", s.placeOrder)
	handle("GET /orders/{id}", s.readOrder)
	mux.HandleFunc("GET /healthz", s.health)
}

func (s *service) putProduct(w http.ResponseWriter, r *http.Request) {
	var p product
	if err := decode(w, r, &p); err != nil {
		fail(w, r, err)
		return
	}
	if p.Name = r.PathValue("name"); !isName(p.Name) {
		fail(w, r, badRequest("that is no name"))
		return
	}
	if _, err := s.put(r.Context(), p); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) placeOrder(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := decode(w, r, &o); err != nil {
		fail(w, r, err)
		return
	}
	if o.ID = r.PathValue("id"); !isName(o.ID) || !isName(o.Product) || o.Quantity <= 0 || o.Confirmed {
		fail(w, r, badRequest("an order has an id, a product and a positive quantity"))
		return
	}
	o, err := s.place(r.Context(), o)
	if err != nil {
		fail(w, r, err)
		return
	}
	// The client need not wait for what follows, and may hang up: it is a task
	// of its own, in the same trace, that a shutdown waits for.
	worker.Go(r.Context(), "orders.confirm", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.store.confirm(ctx, o.ID)
	}, worker.WithDetached())
	reply(w, http.StatusCreated, o)
}

func (s *service) readOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	o, err := worker.Do(r.Context(), "orders.read", func(ctx context.Context) (order, error) { return s.store.read(ctx, id) })
	if err != nil {
		fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, o)
}

// health answers whether the database does.
func (s *service) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := s.store.db.PingContext(ctx); err != nil {
		fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
