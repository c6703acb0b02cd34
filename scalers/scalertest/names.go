package scalertest

// OddNames are names that mean something else in a URL, a path, a connection string or a statement. Every source takes each as it is.
func OddNames() []string {
	return []string{"a/b", "a%b", "a?b=c", "a#b", "a&b=c", "a b", "%2f", "%252F", "../x", "/x", `a'b"c\d`, "a`b", "ünïcödé 日本", "a:b@c", "a;b=c", "+", "$1", "--x"}
}
