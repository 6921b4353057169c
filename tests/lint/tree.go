package lint

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const module = "github.com/millstream-io/millstream"

// source is one parsed Go file. Paths are slash-separated and relative to the module's root.
type source struct {
	path      string
	dir       string
	text      string
	test      bool // *_test.go
	generated bool
	fset      *token.FileSet
	file      *ast.File
	imports   map[string]string // name in this file → import path
}

// parse makes a source from text; path decides which rules look at it.
func parse(name, text string) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	s := &source{
		path: name, dir: path.Dir(name), text: text, fset: fset, file: file,
		test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(file),
		imports: make(map[string]string),
	}
	for _, im := range file.Imports {
		to := strings.Trim(im.Path.Value, `"`)
		s.imports[importName(im, to)] = to
	}
	return s, nil
}

// importName is the name under which a file uses an import: its alias, or else the last element of the path
// without a version.
func importName(im *ast.ImportSpec, to string) string {
	if im.Name != nil {
		return im.Name.Name
	}
	base := path.Base(to)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(to))
	}
	return base
}

// under reports whether the file lies in one of the folders or below.
func (s *source) under(folders ...string) bool { return inFolders(s.dir, folders) }

// line is where a node starts, as a number for messages.
func (s *source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// selector returns "time.Now" for a use of Now of the package time, whatever the file calls that package, and
// "" for anything else.
func (s *source) selector(n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	to, ok := s.imports[id.Name]
	if !ok {
		return ""
	}
	return to + "." + sel.Sel.Name
}

func inFolders(dir string, folders []string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}

// root finds the folder of go.mod above the working directory.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// load parses every Go file of the module. Other modules inside the tree, testdata and hidden folders are
// left out, and so are files that only exist to pin tools and dependencies.
func load(rootDir string) ([]*source, error) {
	var all []*source
	err := walk(rootDir, func(rel, full string) error {
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		s, err := parse(rel, string(text))
		if err != nil {
			return err
		}
		if !pinsOnly(s) {
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// walk calls visit for every file that belongs to the module.
func walk(rootDir string, visit func(rel, full string) error) error {
	return filepath.WalkDir(rootDir, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(rootDir, full)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !d.IsDir() {
			if !d.Type().IsRegular() {
				return nil
			}
			return visit(rel, full)
		}
		if rel == "." {
			return nil
		}
		if d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".git" {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(full, "go.mod")); err == nil {
			return fs.SkipDir
		}
		return nil
	})
}

// pinsOnly reports whether a file is built by nobody: `//go:build deps`, `tools` or `ignore`.
func pinsOnly(s *source) bool {
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			if !constraint.IsGoBuild(c.Text) {
				continue
			}
			x, err := constraint.Parse(c.Text)
			if err != nil {
				return false
			}
			never := map[string]bool{"deps": true, "tools": true, "ignore": true}
			return !x.Eval(func(tag string) bool { return !never[tag] })
		}
	}
	return false
}
