package sqlquery

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// answer is what a query said: a number, or NULL.
type answer struct {
	value float64
	null  bool
}

const wantOne = "want exactly one row with one number, such as the answer of select count(*)"

// errManyRows is the fault of an answer that goes on: the rest of it is not worth reading.
var errManyRows = errors.New("the query answered more than one row; " + wantOne)

// readOne reads the one number of an answer.
func readOne(rows *sql.Rows, numeric func(string) bool) (answer, error) {
	columns, err := rows.ColumnTypes()
	if err != nil {
		return answer{}, err
	}
	if len(columns) != 1 {
		return answer{}, fmt.Errorf("the query answered %d columns; %s", len(columns), wantOne)
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return answer{}, err
		}
		return answer{}, errors.New("the query answered no row; " + wantOne)
	}
	var raw any
	if err := rows.Scan(&raw); err != nil {
		return answer{}, err
	}
	found, err := parse(raw, columns[0].DatabaseTypeName(), numeric)
	if rows.Next() {
		return answer{}, errManyRows
	}
	if err := rows.Err(); err != nil {
		return answer{}, err
	}
	return found, err
}

// parse takes a number that is finite and ≥ 0, or NULL.
func parse(raw any, databaseType string, numeric func(string) bool) (answer, error) {
	if raw == nil {
		return answer{null: true}, nil
	}
	if !numeric(databaseType) {
		// Not quoted: it may be anything that the table holds.
		return answer{}, fmt.Errorf("the query answered a value of type %s; want a number, if need be through a cast", databaseType)
	}
	var text string
	switch raw := raw.(type) {
	case []byte:
		text = string(raw)
	default:
		text = fmt.Sprint(raw)
	}
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case math.IsInf(value, 0) || math.IsNaN(value) || value < 0:
		return answer{}, fmt.Errorf("the query answered %s; want a finite number ≥ 0", shorten(text))
	case err != nil:
		return answer{}, fmt.Errorf("the query answered a value of type %s that is no number; want a finite number ≥ 0", databaseType)
	}
	// Adding 0 makes 0 of -0.
	return answer{value: value + 0}, nil
}

// shorten keeps a number of a thousand digits out of an error.
func shorten(text string) string {
	const most = 30
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
