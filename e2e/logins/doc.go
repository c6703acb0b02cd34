// Package logins logs in to servers that the product's own module would need too much for. It owns nothing but its tests.
package logins
