package shards

import (
	"cmp"
	"slices"
)

// share says who should hold each bucket, by name, given who holds it; the empty name is nobody. members are those that live, each once.
//
// Whoever sees the same comes to the same answer. It keeps what it can: a member that holds more than its share gives up its last buckets, and those that nobody
// holds go to the members that are short, one after the other. Once a bucket has changed hands the answer is still the same.
func share(members, holders []string) []string {
	quotas := quotasOf(members, holders)
	wanted := make([]string, len(holders))
	var free []int
	for bucket, holder := range holders {
		if quotas[holder] == 0 {
			free = append(free, bucket)
			continue
		}
		quotas[holder]--
		wanted[bucket] = holder
	}
	for _, member := range slices.Sorted(slices.Values(members)) {
		for ; quotas[member] > 0; quotas[member]-- {
			wanted[free[0]] = member
			free = free[1:]
		}
	}
	return wanted
}

// quotasOf is how many buckets each member should hold. What does not divide goes to those that hold that many already, so that it need not move.
func quotasOf(members, holders []string) map[string]int {
	held := map[string]int{}
	for _, holder := range holders {
		held[holder]++
	}
	quotas := make(map[string]int, len(members))
	if len(members) == 0 {
		return quotas
	}
	each, more := len(holders)/len(members), len(holders)%len(members)
	ranked := slices.SortedFunc(slices.Values(members), func(a, b string) int {
		if full := cmp.Compare(number(held[b] > each), number(held[a] > each)); full != 0 {
			return full
		}
		return cmp.Compare(a, b)
	})
	for i, member := range ranked {
		quotas[member] = each + number(i < more)
	}
	return quotas
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
