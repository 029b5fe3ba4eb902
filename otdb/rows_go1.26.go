//go:build !go1.27

package otdb

import "database/sql/driver"

// shaped returns r with the optional interfaces of the raw rows that change
// what database/sql does: none, before Go 1.27.
func (r *rows) shaped() driver.Rows { return r }
