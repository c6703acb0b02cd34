package shards

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestShare(t *testing.T) {
	for _, c := range []struct {
		name            string
		members         string
		holders, wanted string
	}{
		{"alone at the start", "a", "................", "aaaaaaaaaaaaaaaa"},
		{"two at the start", "b a", "................", "aaaaaaaabbbbbbbb"},
		{"a second one comes", "a b", "aaaaaaaaaaaaaaaa", "aaaaaaaabbbbbbbb"},
		{"half way there", "a b", "aaaaaaaa..b.b...", "aaaaaaaabbbbbbbb"},
		{"a third one comes", "a b c", "aaaaaaaabbbbbbbb", "aaaaaaccbbbbbccc"},
		{"one that is first by name comes", "a b c", "bbbbbbbbcccccccc", "bbbbbbaacccccaaa"},
		{"one has handed over, the other has not yet", "a b c", "aaaaaa..bbbbbbbb", "aaaaaaccbbbbbccc"},
		{"one of three dies", "a c", "aaaaaa.....ccccc", "aaaaaaaacccccccc"},
		{"the holder is not among those that live", "a b", "zzzzzzzzzzzzzzzz", "aaaaaaaabbbbbbbb"},
		{"more members than buckets", "a b c d", "..", "ab"},
		{"even stays", "a b", "abababababababab", "abababababababab"},
		{"nobody", "", "..", ".."},
	} {
		if got := textOf(share(strings.Fields(c.members), holdersOf(c.holders))); got != c.wanted {
			t.Errorf("%s: got %s, want %s", c.name, got, c.wanted)
		}
	}
}

func holdersOf(text string) []string {
	var holders []string
	for _, r := range text {
		holders = append(holders, strings.Trim(string(r), "."))
	}
	return holders
}

func textOf(holders []string) string {
	var b strings.Builder
	for _, holder := range holders {
		b.WriteString((holder + ".")[:1])
	}
	return b.String()
}

// FuzzShare checks for any members and holders:
//   - every bucket is wanted by a member, and their counts differ by one at most;
//   - no bucket moves that need not: a member gives up only what is beyond its share, and as many members as can keep the larger share;
//   - the order in which the members are listed does not matter;
//   - whichever of the handovers have been made so far, the rest is still wanted as before.
func FuzzShare(f *testing.F) {
	f.Add(uint64(1), 2)
	f.Add(uint64(2), 3)
	f.Fuzz(func(t *testing.T, seed uint64, n int) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test that can be repeated
		members := make([]string, 1+(n%20+20)%20)
		for i := range members {
			members[i] = fmt.Sprint("replica-", i)
		}
		holders := make([]string, 16)
		for i := range holders {
			// Some are nobody's, some those of the dead.
			if at := random.IntN(len(members) + 2); at < len(members) {
				holders[i] = members[at]
			} else if at == len(members) {
				holders[i] = "dead"
			}
		}
		wanted := share(members, holders)
		wantFair(t, members, holders, wanted)
		shuffled := slices.Clone(members)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := share(shuffled, holders); !slices.Equal(again, wanted) {
			t.Errorf("listed as %v: got %v, want %v", shuffled, again, wanted)
		}
		for i := range holders {
			switch random.IntN(3) {
			case 0:
				holders[i] = wanted[i]
			case 1:
				if holders[i] != wanted[i] {
					holders[i] = ""
				}
			}
		}
		if again := share(members, holders); !slices.Equal(again, wanted) {
			t.Errorf("with %v: got %v, want %v", holders, again, wanted)
		}
	})
}

func wantFair(t *testing.T, members, holders, wanted []string) {
	t.Helper()
	held, got, moves := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range holders {
		held[holders[i]]++
		got[wanted[i]]++
		if !slices.Contains(members, wanted[i]) {
			t.Errorf("bucket %d is wanted by %q, who is not among %v", i, wanted[i], members)
		}
		if wanted[i] != holders[i] {
			moves[holders[i]]++
		}
	}
	each, larger, full := len(holders)/len(members), 0, 0
	for _, member := range members {
		if n := got[member]; n != each && n != each+1 {
			t.Errorf("%s should hold %d, want %d or %d", member, n, each, each+1)
		}
		if want := max(0, held[member]-got[member]); moves[member] != want {
			t.Errorf("%s holds %d, should hold %d and gives up %d, want %d", member, held[member], got[member], moves[member], want)
		}
		if held[member] > each {
			full++
			larger += number(got[member] > each)
		}
	}
	if want := min(full, len(holders)%len(members)); larger != want {
		t.Errorf("%d of those with more than %d keep the larger share, want %d", larger, each, want)
	}
}
