package mm

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every exported name, fields and methods included, has a comment that begins with
// it.
func TestEveryNameIsCommented(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	count := 0
	check := func(at ast.Node, names []*ast.Ident, docs ...*ast.CommentGroup) {
		var exported []string
		for _, n := range names {
			if n.IsExported() {
				exported = append(exported, n.Name)
			}
		}
		if exported == nil {
			return
		}
		count++
		for _, doc := range docs {
			begin := regexp.MustCompile(`^(An? )?` + strings.Join(exported, "( and |, )") + `\b`)
			if begin.MatchString(doc.Text()) {
				return
			}
		}
		t.Errorf("%v: %v has no comment that begins with its name", fset.Position(at.Pos()), exported)
	}
	for _, entry := range files {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, entry.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				check(n, []*ast.Ident{n.Name}, n.Doc)
				return false
			case *ast.GenDecl:
				for _, s := range n.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						check(s, []*ast.Ident{s.Name}, s.Doc, n.Doc)
						if !s.Name.IsExported() {
							return false
						}
					case *ast.ValueSpec:
						check(s, s.Names, s.Doc, n.Doc)
					}
				}
			case *ast.FuncType: // parameters
				return false
			case *ast.Field:
				check(n, n.Names, n.Doc)
			}
			return true
		})
	}
	if count < 300 {
		t.Errorf("only %d names were looked at", count)
	}
}
