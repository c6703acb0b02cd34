package redisstreams

// MinimalACL are the rules, beside the keys, of an ACL user that every measure works with on one server.
const MinimalACL = "-@all +xinfo|groups +xinfo|stream +xpending +xlen +xrange +xread"
