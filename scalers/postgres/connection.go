package postgres

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"autoscale.io/scalers"
	"autoscale.io/scalers/sqlquery"
)

// server is everything that says which server it is, who asks, and whom is trusted.
type server struct {
	// hosts are tried in order; the first that answers and has the attributes is used.
	hosts                    []endpoint
	user, password, database string
	// searchPath and application are what a connection string may say beside.
	searchPath, application string
	sslmode, attrs          string
	channelBinding          string
	tls                     scalers.TLS
}

type endpoint struct {
	host string
	port uint16
}

// Faults of a connection string. None quotes it: in one that is malformed any piece may be one of the password.
var (
	errForm = errors.New("not a valid connection string; want postgres://user:password@host:port/database or host=… user=… password=… dbname=…. " +
		"A password with characters such as @ : / ? # % or a space is safest in the parameters host, username, password and database")
	errFile    = errors.New("the connection string names a file, a socket or a service, which are refused; want host, and certificates as PEM text in tls.ca, tls.cert and tls.key")
	errUnknown = errors.New("the connection string has an option that is not supported; want no other than host, port, user, password, dbname, sslmode, target_session_attrs, " +
		"channel_binding, search_path, application_name and connect_timeout")
	errMode    = errors.New("the connection string's sslmode may fall back to plain text or is unknown; want disable, require, verify-ca or verify-full")
	errAttrs   = errors.New("the connection string's target_session_attrs is not supported; want any, read-write, read-only, primary or standby")
	errBinding = errors.New("the connection string's channel_binding is unknown; want disable, prefer or require")
)

// maxHosts bounds how many servers one string may name.
const maxHosts = 8

// parseConnection reads a connection string in either of libpq's forms. It looks at no file and at no environment variable.
func parseConnection(text string) (server, error) {
	settings, err := parseKeywords, error(nil)
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		settings = parseURL
	}
	values, err := settings(strings.TrimSpace(text))
	if err != nil {
		return server{}, err
	}
	return fromSettings(values)
}

// parseURL reads postgres://user:password@host:port,host:port/database?option=value.
func parseURL(text string) (map[string]string, error) {
	// A fragment and an unescaped slash or at sign are what is left of a password that was not escaped.
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || strings.Contains(text, "#") || u.User == nil || u.Opaque != "" {
		return nil, errForm
	}
	database := strings.TrimPrefix(u.EscapedPath(), "/")
	if strings.ContainsAny(database, "/@:") {
		return nil, errForm
	}
	values := map[string]string{"user": u.User.Username(), "dbname": strings.TrimPrefix(u.Path, "/")}
	values["password"], _ = u.User.Password()
	values["host"], values["port"] = splitHosts(u.Host)
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errForm
	}
	for key, all := range query {
		// A port in both places is libpq's habit; anything else is given twice by mistake.
		if len(all) != 1 || values[key] != "" && key != "port" {
			return nil, errForm
		}
		values[key] = all[0]
	}
	return values, nil
}

// splitHosts makes lists of hosts and of ports out of host:port,[host]:port.
func splitHosts(text string) (hosts, ports string) {
	var names, numbers []string
	for part := range strings.SplitSeq(text, ",") {
		name, number := part, ""
		if at := strings.LastIndex(part, ":"); at >= 0 && !strings.HasSuffix(part, "]") {
			name, number = part[:at], part[at+1:]
		}
		names, numbers = append(names, strings.Trim(name, "[]")), append(numbers, number)
	}
	return strings.Join(names, ","), strings.Join(numbers, ",")
}

// parseKeywords reads key=value pairs, where a value may be quoted and a backslash takes the next character as it is.
func parseKeywords(text string) (map[string]string, error) {
	const space = " \t\r\n\f\v"
	values := map[string]string{}
	for text = strings.TrimLeft(text, space); text != ""; text = strings.TrimLeft(text, space) {
		key, rest, found := strings.Cut(text, "=")
		key = strings.TrimRight(key, space)
		if !found || key == "" || strings.ContainsAny(key, space) {
			return nil, errForm
		}
		value, after, ok := parseValue(strings.TrimLeft(rest, space))
		if _, twice := values[key]; twice || !ok {
			return nil, errForm
		}
		values[key], text = value, after
	}
	return values, nil
}

// parseValue reads one value and returns what follows it.
func parseValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i == len(text) {
				return "", "", false
			}
			b.WriteByte(text[i])
		case quoted && c == '\'':
			// A letter right after the quote is a value that was not escaped.
			return b.String(), text[i+1:], i+1 == len(text) || strings.IndexByte(" \t\r\n\f\v", text[i+1]) >= 0
		case !quoted && strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			return b.String(), text[i:], true
		case !quoted && c == '\'':
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

func fromSettings(values map[string]string) (server, error) {
	s := server{}
	fields := map[string]*string{
		"user": &s.user, "password": &s.password, "dbname": &s.database, "database": &s.database, "search_path": &s.searchPath, "application_name": &s.application,
		"sslmode": &s.sslmode, "target_session_attrs": &s.attrs, "channel_binding": &s.channelBinding,
	}
	for key, value := range values {
		if field, known := fields[key]; known {
			*field = value
			continue
		}
		switch key {
		case "host", "port", "connect_timeout":
			// The first two are read together; the deadline of a read is the trigger's timeout.
		case "service", "servicefile", "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "sslkeylogfile":
			return server{}, errFile
		default:
			return server{}, errUnknown
		}
	}
	if err := s.checkWords(); err != nil {
		return server{}, err
	}
	var err error
	s.hosts, err = endpoints(values["host"], values["port"])
	if err == nil && s.user == "" {
		err = errForm
	}
	if err != nil {
		return server{}, err
	}
	return s, nil
}

func (s server) checkWords() error {
	switch s.sslmode {
	case "", disable, require, verifyCA, verifyFull:
	default:
		return errMode
	}
	switch s.attrs {
	case "", "any", "read-write", "read-only", "primary", "standby":
	default:
		return errAttrs
	}
	switch s.channelBinding {
	case "", "disable", "prefer", "require":
	default:
		return errBinding
	}
	return nil
}

// endpoints reads lists of hosts and ports; one port serves all hosts.
func endpoints(hosts, ports string) ([]endpoint, error) {
	names, numbers := strings.Split(hosts, ","), strings.Split(ports, ",")
	if len(names) > maxHosts || len(numbers) > 1 && len(numbers) != len(names) {
		return nil, errForm
	}
	var all []endpoint
	for i, name := range names {
		if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "@") {
			return nil, errFile
		}
		if !sqlquery.IsHost(name) {
			return nil, errForm
		}
		number := numbers[min(i, len(numbers)-1)]
		port, err := strconv.ParseUint(number, 10, 16)
		if number == "" {
			port, err = defaultPort, nil
		}
		if err != nil || port == 0 {
			return nil, errForm
		}
		all = append(all, endpoint{name, uint16(port)})
	}
	return all, nil
}
