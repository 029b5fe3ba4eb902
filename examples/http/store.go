package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"

	"github.com/taskspan/taskspan/otdb"
	"github.com/taskspan/taskspan/worker"
)

// SQL that both databases take: SQLite knows PostgreSQL's placeholders.
const (
	createProducts = `CREATE TABLE IF NOT EXISTS shop_products (
	name TEXT PRIMARY KEY,
	stock INTEGER NOT NULL CONSTRAINT shop_products_stock_check CHECK (stock >= 0)
)`
	createOrders = `CREATE TABLE IF NOT EXISTS shop_orders (
	id TEXT PRIMARY KEY,
	product TEXT NOT NULL REFERENCES shop_products (name),
	quantity INTEGER NOT NULL,
	confirmed BOOLEAN NOT NULL
)`
	putProduct   = `INSERT INTO shop_products (name, stock) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET stock = excluded.stock`
	takeStock    = `UPDATE shop_products SET stock = stock - $1 WHERE name = $2`
	insertOrder  = `INSERT INTO shop_orders (id, product, quantity, confirmed) VALUES ($1, $2, $3, $4)`
	confirmOrder = `UPDATE shop_orders SET confirmed = $1 WHERE id = $2`
	selectOrder  = `SELECT product, quantity, confirmed FROM shop_orders WHERE id = $1`
)

// errNotFound means that there is no such product or order. That is an answer and
// no failure, so tasks return it as worker.Skip has it.
var errNotFound = errors.New("not found")

// product is a product and how many of it are left. Its tagged fields are
// recorded on the span of its task, and no others.
type product struct {
	Name  string `json:"-" trace:"product"`
	Stock int    `json:"stock"`
}

// order is an order.
type order struct {
	ID        string `json:"id" trace:"order.id"`
	Product   string `json:"product" trace:"product"`
	Quantity  int    `json:"quantity"`
	Confirmed bool   `json:"confirmed"`
}

// store is the database of the shop.
type store struct{ db *sql.DB }

// openStore opens the database at a DSN, or a new one in a temporary file, and
// creates its tables. The function that it returns closes it.
func openStore(ctx context.Context, dsn string) (_ *store, closeStore func() error, err error) {
	driverName, remove := "pgx", func() error { return nil }
	if dsn == "" {
		dir, err := os.MkdirTemp("", "taskspan-http-")
		if err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
		driverName = "sqlite3"
		dsn = "file:" + filepath.Join(dir, "shop.db") + "?" + url.Values{
			"_busy_timeout": {"5000"}, "_foreign_keys": {"on"}, "_journal_mode": {"wal"}, "_txlock": {"immediate"},
		}.Encode()
	}
	db, err := otdb.Open(driverName, dsn, otdb.WithRequireParent())
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	// A pool without a limit is a database that goes down with its clients.
	db.SetMaxOpenConns(8)
	s := &store{db: db}
	closeStore = func() error { return errors.Join(db.Close(), remove()) }
	if err := worker.Run(ctx, "shop.migrate", s.migrate); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("prepare the database: %w", err), closeStore())
	}
	return s, closeStore, nil
}

func (s *store) migrate(ctx context.Context) error {
	for _, statement := range []string{createProducts, createOrders} {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// put sets the stock of a product.
func (s *store) put(ctx context.Context, p product) (product, error) {
	_, err := s.db.ExecContext(ctx, putProduct, p.Name, p.Stock)
	return p, err
}

// place takes an order's products from the stock, and enters the order: both or
// neither.
func (s *store) place(ctx context.Context, o order) (order, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return order{}, err
	}
	defer tx.Rollback() // does nothing after Commit
	res, err := tx.ExecContext(ctx, takeStock, o.Quantity, o.Product)
	if err != nil {
		return order{}, err
	}
	if n, err := res.RowsAffected(); err != nil {
		return order{}, err
	} else if n == 0 {
		return order{}, worker.Skip(errNotFound)
	}
	if _, err := tx.ExecContext(ctx, insertOrder, o.ID, o.Product, o.Quantity, false); err != nil {
		return order{}, err
	}
	return o, tx.Commit()
}

// confirm marks an order as confirmed.
func (s *store) confirm(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, confirmOrder, true, id)
	return err
}

// read returns the order of that id.
func (s *store) read(ctx context.Context, id string) (order, error) {
	o := order{ID: id}
	err := s.db.QueryRowContext(ctx, selectOrder, id).Scan(&o.Product, &o.Quantity, &o.Confirmed)
	if errors.Is(err, sql.ErrNoRows) {
		return order{}, worker.Skip(errNotFound)
	}
	return o, err
}
