package sqlquery

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"autoscale.io/annotations"
	"autoscale.io/annotations/schema"
	"autoscale.io/scalers"
)

// Params are the parameters that every database has, to be embedded.
type Params struct {
	Connection string      `name:"connection" alias:"connectionString" secret:"true" doc:"The whole connection string, instead of host, port, username, password and database. It normally comes from a Secret: connectionFrom."`
	Host       string      `name:"host" doc:"The server. A host without a dot is a Service in the workload's namespace."`
	Port       int32       `name:"port" min:"1" max:"65535" doc:"Port of the server. When absent, the usual one of the database."`
	Username   string      `name:"username" alias:"userName" doc:"User of the server. It needs to read what the query reads, and nothing else."`
	Password   string      `name:"password" secret:"true" doc:"Password of the user."`
	Database   string      `name:"database" alias:"dbName" doc:"Database on the server."`
	Query      string      `name:"query" required:"true" doc:"One statement that reads, whose answer is one row with one number. It runs in a read-only transaction that is rolled back."`
	NullAs     NullAs      `name:"nullAs" default:"0" doc:"What NULL counts as, which is how a sum over no rows answers; with unknown the answer is a fault and the count does not fall."`
	TLS        scalers.TLS `name:"tls"`
}

// NullAs says what NULL counts as.
type NullAs struct {
	// Unknown makes NULL a fault.
	Unknown bool
	// Value is what NULL counts as otherwise, finite and ≥ 0.
	Value float64
}

// ParseValue implements schema.Parser.
func (n *NullAs) ParseValue(text string) error {
	*n = NullAs{Unknown: text == "unknown"}
	if n.Unknown {
		return nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return errors.New("want a number ≥ 0, or unknown")
	}
	n.Value = value
	return nil
}

// Syntax implements schema.Parser.
func (*NullAs) Syntax() string { return "a number ≥ 0, or unknown" }

// String is what ParseValue reads back.
func (n NullAs) String() string {
	if n.Unknown {
		return "unknown"
	}
	return strconv.FormatFloat(n.Value, 'g', -1, 64)
}

// Aliases are the spellings of KEDA that the structs cannot say, as those are of common parameters.
func Aliases() map[string]annotations.Alias {
	return map[string]annotations.Alias{
		"targetQueryValue":           {For: "target"},
		"queryValue":                 {For: "target"},
		"activationTargetQueryValue": {For: "activation"},
		"activationQueryValue":       {For: "activation"},
	}
}

// Checker looks at the parameters.
type Checker struct {
	*Params
	schema.Findings
}

// Whole says whether the server is named in exactly one of the two ways, whole, and adds what is wrong.
func (c *Checker) Whole() bool {
	given := []struct {
		param string
		there bool
	}{
		{"database", c.Database != "" || c.Refers("database")}, {"host", c.Host != "" || c.Refers("host")}, {"password", c.Password != "" || c.Refers("password")},
		{"port", c.Port != 0 || c.Refers("port")}, {"username", c.Username != "" || c.Refers("username")},
	}
	before := len(c.Problems)
	if c.Connection != "" || c.Refers("connection") {
		for _, g := range given {
			if g.there {
				c.Problem(g.param, "given beside connection; want one of the two")
			}
		}
		return len(c.Problems) == before
	}
	if !given[1].there {
		c.Problem("host", "missing; want the server's name, or connectionFrom a Secret")
	}
	if !given[4].there {
		c.Problem("username", "missing; want the user that reads")
	}
	if c.Host != "" && !IsHost(c.Host) {
		// Not quoted: a URL may hold a password.
		c.Problem("host", "not a host name; want a name or an IP address, with the port in port and the user in username")
	}
	return len(c.Problems) == before
}

// IsHost says whether a text can be a host, and neither a URL, nor several hosts, nor the path of a socket.
func IsHost(text string) bool {
	return text != "" && !strings.ContainsAny(text, "/@\\, \t\r\n\x00") && (!strings.Contains(text, ":") || strings.Count(text, ":") > 1)
}

// Statement adds a problem unless the query starts as one that reads does. It is the first of three fences; the read-only transaction and the rights of the user are the
// others, and neither of those stops SET, KILL or COPY TO PROGRAM.
func (c *Checker) Statement() {
	if c.Query == "" {
		return
	}
	switch word := firstWord(c.Query); word {
	case "select", "with", "values", "table":
	case "":
		c.Problem("query", "starts with no keyword; want one statement that reads, such as select count(*) from jobs")
	default:
		c.Problem("query", fmt.Sprintf("starts with %s; want one statement that reads, such as select count(*) from jobs", schema.Plain(strings.ToUpper(word))))
	}
}

// firstWord is the first keyword of a statement in small letters, comments and opening brackets left out.
func firstWord(query string) string {
	for {
		query = strings.TrimLeft(query, " \t\r\n\f\v(")
		switch {
		case strings.HasPrefix(query, "--"), strings.HasPrefix(query, "#"):
			_, query, _ = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*"):
			comment, rest, _ := strings.Cut(query[2:], "*/")
			if strings.Contains(comment, "/*") {
				// Databases differ on where a comment within a comment ends.
				return ""
			}
			query = rest
		default:
			end := strings.IndexFunc(query, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' })
			if end < 0 {
				end = len(query)
			}
			return strings.ToLower(query[:end])
		}
	}
}

// Err joins the problems, nil for none.
func (c *Checker) Err() error {
	var errs []error
	for _, problem := range c.Problems {
		errs = append(errs, errors.New(problem.String()))
	}
	return errors.Join(errs...)
}
