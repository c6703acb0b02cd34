package autoscale_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// module is the path of the root module; the import path of a folder is module/folder, in the module of e2e too.
const module = "autoscale.io/"

// layers lists the folders from the bottom up. A package imports only lower layers, and packages of its own folder; a * stands for
// one name. A new folder belongs into this list.
var layers = [][]string{
	{"annotations", "scaling/decide", "scalers/pool", "scalers/workers", "scalers/egress"},
	{"scalers"},
	{"scalers/sqlquery"},
	{"scalers/*", "scalers/scalertest"},
	{"scalers/builtin", "scaling/decisions", "scaling/shards"},
	{"scaling/jobs", "scaling/poll", "scaling/target", "scaling/report", "scaling/rivals"},
	{"scaling/controller", "webhook", "webhook/certs"},
	{"scaling/scalingtest"},
	{"cmd/*"},
	{"e2e"},
}

// rule forbids imports of the packages below a folder.
type rule struct {
	of     []string
	except []string
	// deny and the single allow are path prefixes; "std" stands for the standard library. A denied package must not be reached through our own
	// packages either, unless direct is set.
	deny   []string
	allow  string
	direct bool
	why    string
}

var (
	testHelpers    = []string{"scalers/scalertest", "scaling/scalingtest"}
	clusterClients = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "k8s.io/apiextensions-apiserver"}

	rules = []rule{
		{of: []string{"scaling/decide"}, allow: "std", why: "it is the part that is fuzzed and benchmarked, and what it cannot import it cannot get wrong"},
		{of: []string{"scalers/pool"}, allow: "std", why: "it shares anything and knows nothing of what it holds"},
		{of: []string{"scalers/egress"}, allow: "std", why: "what stands between annotations and the network is to be read in one place"},
		{of: []string{"scalers"}, except: []string{"scalers/scalertest"}, deny: []string{"os", "io/ioutil", "net/http", "net/rpc", "net/smtp", "plugin"},
			why: "nothing that a scaler was given can name a file, a program or a URL, since it has no means to open one"},
		{of: []string{"annotations"}, deny: slices.Concat(clusterClients, []string{"autoscale.io/scalers", "autoscale.io/scaling", "autoscale.io/webhook", "net/http", "os"}),
			why: "it is a library for other programs too, and does no I/O"},
		{of: []string{"scalers"}, deny: slices.Concat(clusterClients, []string{"autoscale.io/scaling", "autoscale.io/webhook"}),
			why: "a scaler answers with a number; it sees no Kubernetes object and no replica count"},
		{of: []string{"scaling/decisions"}, deny: slices.Concat(clusterClients, []string{"autoscale.io/scalers"}), why: "it only carries decisions"},
		{of: []string{"scaling/poll"}, deny: slices.Concat(clusterClients, []string{"autoscale.io/scaling/target", "autoscale.io/scaling/report"}),
			why: "polling thinks and never writes to the cluster, so it has no client that could"},
		{of: []string{"scaling/controller"}, deny: []string{"autoscale.io/scalers"}, direct: true, why: "reconciling acts; it never reads a metric"},
		{of: []string{"webhook"}, deny: []string{"autoscale.io/scaling", "autoscale.io/scalers"}, why: "admission answers from the request alone, within its two seconds"},
		{of: []string{"webhook"}, except: []string{"webhook/certs"}, deny: []string{"k8s.io/client-go", "github.com/cert-manager", "autoscale.io/webhook/certs"},
			why: "admission has no client; certificates are the business of webhook/certs, and whoever wants the rules alone need not compile it"},
		{of: []string{"webhook/certs"}, deny: []string{"autoscale.io/webhook", "autoscale.io/annotations"}, why: "it knows nothing of admission"},
		{of: []string{"annotations", "scalers", "scaling", "webhook", "cmd"}, except: testHelpers, deny: []string{"testing", "autoscale.io/scalers/scalertest", "autoscale.io/scaling/scalingtest"},
			why: "helpers of tests do not belong into the product"},
		{of: []string{"scaling/scalingtest/apiserver"}, deny: []string{"autoscale.io"}, why: "the API server in memory is a judge, too, and knows nothing of the product"},
		{of: []string{"annotations", "scalers", "scaling", "webhook"}, deny: []string{"flag", "github.com/spf13/pflag", "os/signal", "autoscale.io/cmd", "autoscale.io/e2e"},
			why: "flags, signals and wiring are the business of commands"},
		{of: []string{"e2e/cluster", "e2e/controlplane", "e2e/certmanager"}, deny: []string{"autoscale.io/annotations", "autoscale.io/scalers", "autoscale.io/scaling", "autoscale.io/webhook"},
			allow: "autoscale.io/scalers/scalertest/ports", why: "the control plane is the judge and knows nothing of the product"},
		{of: []string{"e2e/programs"}, allow: "std", why: "a first run shows its progress from the start, so what shows it compiles in seconds"},
		{of: []string{"e2e/cmd/controlplane", "e2e/cmd/demo"}, except: []string{"e2e/cmd/demo/play"}, deny: []string{"k8s.io", "sigs.k8s.io", "github.com", "autoscale.io/e2e/cluster"},
			why: "a first run shows its progress from the start, so what shows it compiles in seconds"},
	}
)

// graph holds the non-test imports of our packages, by folder.
type graph map[string][]string

func TestImportsPointDown(t *testing.T) {
	for _, fault := range importFaults(readTree(t).imports()) {
		t.Error(fault)
	}
}

func importFaults(g graph) []string {
	var faults []string
	for _, from := range sortedFolders(g) {
		layer, home := layerOf(from)
		if layer < 0 {
			faults = append(faults, from+" is in no layer; add it to the list in structure_test.go")
			continue
		}
		for _, imported := range g[from] {
			to, own := strings.CutPrefix(imported, module)
			if toLayer, toHome := layerOf(to); own && toHome != home && toLayer >= layer {
				faults = append(faults, fmt.Sprintf("%s imports %s, which is not in a lower layer; see the list in structure_test.go", from, to))
			}
		}
		for _, r := range rules {
			faults = append(faults, r.faults(g, from)...)
		}
	}
	return faults
}

// layerOf returns the number of the folder's layer, -1 for none, and the entry of the list with its * filled in.
func layerOf(folder string) (layer int, home string) {
	layer = -1
	for number, entries := range layers {
		for _, entry := range entries {
			parts := strings.Split(folder, "/")
			parts = parts[:min(len(parts), strings.Count(entry, "/")+1)]
			start := strings.Join(parts, "/")
			// The longer entry is nearer, and a name is nearer than a *.
			if ok, _ := path.Match(entry, start); ok && (len(start) > len(home) || len(start) == len(home) && !strings.Contains(entry, "*")) {
				layer, home = number, start
			}
		}
	}
	return layer, home
}

func (r rule) faults(g graph, from string) []string {
	if !slices.ContainsFunc(r.of, within(from)) || slices.ContainsFunc(r.except, within(from)) {
		return nil
	}
	var faults []string
	seen := map[string]bool{}
	var walk func(folder, chain string)
	walk = func(folder, chain string) {
		for _, imported := range g[folder] {
			link := chain + " → " + imported
			if r.forbids(imported, from) {
				faults = append(faults, fmt.Sprintf("%s: %s", link, r.why))
				continue
			}
			to, own := strings.CutPrefix(imported, module)
			if own && !r.direct && !seen[to] {
				seen[to] = true
				walk(to, link)
			}
		}
	}
	walk(from, from)
	return faults
}

func within(folder string) func(root string) bool {
	return func(root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") }
}

func (r rule) forbids(imported, from string) bool {
	if within(imported)(module + from) {
		return false
	}
	if r.allow == "std" {
		first, _, _ := strings.Cut(imported, "/")
		return strings.Contains(first, ".")
	}
	if r.allow != "" && within(imported)(r.allow) {
		return false
	}
	return slices.ContainsFunc(r.deny, within(imported))
}

func TestImportFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		g    graph
		want []string
	}{
		{"sound", graph{"scalers": {"context", "autoscale.io/annotations", "autoscale.io/scalers/pool"}, "annotations": {"autoscale.io/annotations/schema"}}, nil},
		{"unknown folder", graph{"util": nil}, []string{"util is in no layer; add it to the list in structure_test.go"}},
		{"upwards", graph{"scaling/decisions": {"autoscale.io/scaling/report"}}, []string{"scaling/decisions imports scaling/report, which is not in a lower layer; see the list in structure_test.go"}},
		{"from one scaler to another", graph{"scalers/cron": {"autoscale.io/scalers/sql"}}, []string{"scalers/cron imports scalers/sql, which is not in a lower layer; see the list in structure_test.go"}},
		{"within a scaler", graph{"scalers/cron": {"autoscale.io/scalers/cron/zones"}}, nil},
		{"from the list of scalers", graph{"scalers/builtin": {"autoscale.io/scalers/cron"}}, nil},
		{"beyond the standard library", graph{"scaling/decide": {"math", "k8s.io/utils/ptr"}}, []string{
			"scaling/decide → k8s.io/utils/ptr: it is the part that is fuzzed and benchmarked, and what it cannot import it cannot get wrong",
		}},
		{"through another package", graph{"scaling/poll": {"autoscale.io/scaling/decisions"}, "scaling/decisions": {"k8s.io/client-go/rest"}}, []string{
			"scaling/decisions → k8s.io/client-go/rest: it only carries decisions",
			"scaling/poll → autoscale.io/scaling/decisions → k8s.io/client-go/rest: polling thinks and never writes to the cluster, so it has no client that could",
		}},
		{"a direct rule stops at the first step", graph{"scaling/controller": {"autoscale.io/scaling/poll"}, "scaling/poll": {"autoscale.io/scalers"}}, nil},
		{"the judge may share ports with the servers of scalers", graph{"e2e/cluster": {"autoscale.io/scalers/scalertest/ports"}}, nil},
		{"the judge may not share the servers", graph{"e2e/cluster": {"autoscale.io/scalers/scalertest/servers"}}, []string{
			"e2e/cluster → autoscale.io/scalers/scalertest/servers: the control plane is the judge and knows nothing of the product",
		}},
		{"tests' helpers may know testing", graph{"scalers/scalertest/servers": {"testing"}, "scaling/scalingtest": {"testing"}}, nil},
		{"the product may not know the tests' helpers", graph{"cmd/autoscaler": {"autoscale.io/scaling/scalingtest"}}, []string{
			"cmd/autoscaler → autoscale.io/scaling/scalingtest: helpers of tests do not belong into the product",
		}},
	} {
		if got := importFaults(c.g); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for folder, comment := range readTree(t).comments() {
		for _, fault := range commentFaults(comment) {
			t.Errorf("%s: %s", folder, fault)
		}
	}
}

var (
	owns   = regexp.MustCompile(`\b(owns?|owned|keeps)\b`)
	limits = regexp.MustCompile(`\b([Nn]o|nothing|not|[Nn]ever|refuses|business)\b`)
)

func commentFaults(comment packageComment) []string {
	start := "Package " + comment.name
	if comment.name == "main" {
		start = "Command "
	}
	switch {
	case !strings.HasPrefix(comment.text, start):
		return []string{fmt.Sprintf("no package comment; want one that begins with %q", start)}
	case comment.name != "main" && !owns.MatchString(comment.text):
		return []string{"the package comment does not say what the package owns"}
	case comment.name != "main" && !limits.MatchString(comment.text):
		return []string{"the package comment does not say what the package refuses to know or do"}
	}
	return nil
}

func TestCommentFaults(t *testing.T) {
	for _, c := range []struct {
		comment packageComment
		want    []string
	}{
		{packageComment{"pool", "Package pool owns connections and knows nothing of them."}, nil},
		{packageComment{"main", "Command autoscaler is the product."}, nil},
		{packageComment{"main", ""}, []string{`no package comment; want one that begins with "Command "`}},
		{packageComment{"pool", "Shares connections."}, []string{`no package comment; want one that begins with "Package pool"`}},
		{packageComment{"pool", "Package pool shares connections and knows nothing of them."}, []string{"the package comment does not say what the package owns"}},
		{packageComment{"pool", "Package pool owns connections."}, []string{"the package comment does not say what the package refuses to know or do"}},
	} {
		if got := commentFaults(c.comment); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.comment.text, got, c.want)
		}
	}
}

// A file that is longer holds more than one idea.
const maxLines = 400

// machinePath is a place that exists on somebody's machine alone.
var machinePath = regexp.MustCompile(`(^|[^\w.])/(home|root|Users|work|tmp/[a-z0-9]{1,3})/\w`)

func TestFilesAreSmallAndNameNoMachine(t *testing.T) {
	for _, file := range readTree(t).files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(data, []byte("\n")); lines > maxLines && strings.HasSuffix(file, ".go") {
			t.Errorf("%s has %d lines, want at most %d; split it by idea", file, lines, maxLines)
		}
		if found := machinePath.Find(data); found != nil && utf8.Valid(data) {
			t.Errorf("%s names a path of one machine: %s", file, found)
		}
	}
}

// tree is what the tests read of the working tree.
type tree struct {
	files []string
	// packages holds the parsed non-test files by folder.
	packages map[string][]*ast.File
}

type packageComment struct{ name, text string }

func readTree(t *testing.T) tree {
	t.Helper()
	found := tree{packages: map[string][]*ast.File{}}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "bin" || entry.Name() == "build" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !entry.Type().IsRegular() || file == ".git": // in a linked working tree it is a file
			return nil
		}
		found.files = append(found.files, file)
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		folder := filepath.ToSlash(filepath.Dir(file))
		found.packages[folder] = append(found.packages[folder], parsed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (t tree) imports() graph {
	g := graph{}
	for folder, files := range t.packages {
		if folder == "." {
			continue
		}
		g[folder] = nil
		for _, file := range files {
			for _, spec := range file.Imports {
				// The parser has checked the literal.
				imported, _ := strconv.Unquote(spec.Path.Value)
				g[folder] = append(g[folder], imported)
			}
		}
		slices.Sort(g[folder])
		g[folder] = slices.Compact(g[folder])
	}
	return g
}

func (t tree) comments() map[string]packageComment {
	comments := map[string]packageComment{}
	for folder, files := range t.packages {
		comment := packageComment{name: files[0].Name.Name}
		for _, file := range files {
			if file.Doc != nil {
				comment.text += file.Doc.Text()
			}
		}
		comments[folder] = comment
	}
	return comments
}

func sortedFolders(g graph) []string {
	folders := make([]string, 0, len(g))
	for folder := range g {
		folders = append(folders, folder)
	}
	slices.Sort(folders)
	return folders
}
