// Package ent stands for the code that ent generates, by its path and by the way its
// calls take: through ent's own packages to a driver of database/sql.
package ent

import (
	"context"
	"database/sql"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/sqlgraph"
	"entgo.io/ent/schema/field"
)

// Client is a client of one type of node.
type Client struct{ driver dialect.Driver }

// NewClient returns a client that uses driver.
func NewClient(driver dialect.Driver) *Client { return &Client{driver} }

// Customer is a node, of the table customers.
type Customer struct {
	ID   int64
	Name string
}

func id() *sqlgraph.FieldSpec { return sqlgraph.NewFieldSpec("id", field.TypeInt64) }

// Create creates a customer.
func (c *Client) Create(ctx context.Context, name string) (int64, error) {
	spec := sqlgraph.NewCreateSpec("customers", id())
	spec.SetField("name", field.TypeString, name)
	if err := sqlgraph.CreateNode(ctx, c.driver, spec); err != nil {
		return 0, err
	}
	return spec.ID.Value.(int64), nil
}

// Rename updates the name of a customer, in a transaction.
func (c *Client) Rename(ctx context.Context, customer int64, name string) error {
	spec := sqlgraph.NewUpdateSpec("customers", []string{"id", "name"}, id())
	spec.Node.ID.Value = customer
	spec.SetField("name", field.TypeString, name)
	var found Customer
	spec.ScanValues, spec.Assign = found.scan, found.assign
	return sqlgraph.UpdateNode(ctx, c.driver, spec)
}

// Find returns the customers with that id.
func (c *Client) Find(ctx context.Context, customer int64) ([]Customer, error) {
	spec := sqlgraph.NewQuerySpec("customers", []string{"id", "name"}, id())
	spec.Predicate = func(s *entsql.Selector) { s.Where(entsql.EQ(s.C("id"), customer)) }
	var found []Customer
	spec.ScanValues = new(Customer).scan
	spec.Assign = func(columns []string, values []any) error {
		found = append(found, Customer{})
		return found[len(found)-1].assign(columns, values)
	}
	return found, sqlgraph.QueryNodes(ctx, c.driver, spec)
}

func (*Customer) scan([]string) ([]any, error) {
	return []any{new(sql.NullInt64), new(sql.NullString)}, nil
}

func (c *Customer) assign(_ []string, values []any) error {
	c.ID, c.Name = values[0].(*sql.NullInt64).Int64, values[1].(*sql.NullString).String
	return nil
}
