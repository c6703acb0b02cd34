package scalers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"autoscale.io/annotations/schema"
)

// TLS are the parameters of a secured connection, the same for every scaler: a field `TLS scalers.TLS` with the tag name:"tls". Certificates and keys
// are PEM text, never paths.
type TLS struct {
	Enabled            *bool  `name:"enabled" alias:"enableTLS" doc:"Secure the connection with TLS. When absent, true if any other tls parameter is given."`
	CA                 string `name:"ca" alias:"ca" doc:"Certificates, as PEM text, of the authorities that the server's certificate may come from. When absent, those of the system."`
	Cert               string `name:"cert" alias:"cert" doc:"The client's certificate chain, as PEM text."`
	Key                string `name:"key" alias:"key" secret:"true" doc:"The private key of cert, as PEM text, not encrypted."`
	KeyPassword        string `name:"keyPassword" alias:"keyPassword" secret:"true" doc:"Refused: an encrypted key and its password in Secrets of one namespace protect nothing. Store the key without encryption."`
	ServerName         string `name:"serverName" doc:"The name that the server's certificate must be valid for. When absent, the host that is connected to."`
	InsecureSkipVerify bool   `name:"insecureSkipVerify" alias:"unsafeSsl" default:"false" doc:"Accept any certificate, and so send credentials to whoever answers."`
}

const keyPasswordRefused = "encrypted private keys are not supported; store the key without encryption: openssl pkcs8 -topk8 -nocrypt"

// Check looks at the parameters as a whole, for TriggerType.Check: prefix is the path of the field, such as "tls", and indirect tells what is given by
// reference.
func (t TLS) Check(prefix string, indirect schema.Refs) (problems, warnings []schema.Problem) {
	given := func(name, value string) bool {
		_, ok := indirect[prefix+"."+name]
		return ok || value != ""
	}
	problem := func(name, text string) {
		problems = append(problems, schema.Problem{Param: prefix + "." + name, Text: text})
	}
	cert, key := given("cert", t.Cert), given("key", t.Key)
	if cert && !key {
		problem("key", "missing; want the private key of cert")
	}
	if key && !cert {
		problem("cert", "missing; want the certificate of key")
	}
	if given("keyPassword", t.KeyPassword) {
		problem("keyPassword", keyPasswordRefused)
	}
	if t.Enabled != nil && !*t.Enabled && (cert || key || given("ca", t.CA) || given("serverName", t.ServerName) || t.InsecureSkipVerify) {
		problem("enabled", "false, yet other tls parameters are given; want true, or none of them")
	}
	if t.InsecureSkipVerify {
		warnings = append(warnings, schema.Problem{Param: prefix + ".insecureSkipVerify", Text: "any certificate is accepted; credentials go to whoever answers"})
	}
	return problems, warnings
}

// On says whether the connection is to be secured.
func (t TLS) On() bool {
	if t.Enabled != nil {
		return *t.Enabled
	}
	return t.CA != "" || t.Cert != "" || t.Key != "" || t.ServerName != "" || t.InsecureSkipVerify
}

// Config returns the configuration of a client, nil when the connection is not to be secured. serverName is expected of the server where the parameters
// name none. Errors quote no key.
func (t TLS) Config(serverName string) (*tls.Config, error) {
	if !t.On() {
		return nil, nil
	}
	if t.KeyPassword != "" {
		return nil, errors.New("tls.keyPassword: " + keyPasswordRefused)
	}
	config := &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.ServerName != "" {
		config.ServerName = t.ServerName
	}
	if t.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("tls.ca: holds no certificate; want PEM text that begins with -----BEGIN CERTIFICATE-----")
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
		if err != nil {
			return nil, fmt.Errorf("tls.cert and tls.key: %w; want the PEM text of a certificate and of its private key", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// Identity returns everything that makes one secured connection different from another, for the key of a pool.
func (t TLS) Identity() []string {
	return []string{fmt.Sprint(t.On()), t.CA, t.Cert, t.Key, t.KeyPassword, t.ServerName, fmt.Sprint(t.InsecureSkipVerify)}
}
