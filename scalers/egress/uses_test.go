package egress_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reaching are the functions and types of the standard library that lead to the network by themselves.
var reaching = regexp.MustCompile(`^((net|tls)\.(Dial|Listen|Lookup|Resolve|DefaultResolver|FileConn)|net\.Resolver|syscall\.(Connect|Open|Socket))`)

// No scaler has another way to the network than the dialer that it is given.
func TestScalersOpenNothingThemselves(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "scalertest" || entry.Name() == "egress"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if from, ok := selector.X.(*ast.Ident); ok && reaching.MatchString(from.Name+"."+selector.Sel.Name) {
				t.Errorf("%s uses %s.%s; want Env.Dialer", path, from.Name, selector.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("looked at %d files; want all of the scalers'", files)
	}
}
