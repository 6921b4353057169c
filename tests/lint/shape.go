package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
)

const (
	maxFunctionLines = 70
	maxFileLines     = 600
	minPackageDoc    = 60 // bytes; a sentence, not a name
)

func functionLength(s *source) []finding {
	if s.generated {
		return nil
	}
	var out []finding
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
		if n > maxFunctionLines {
			out = append(out, finding{"function-length", s.path, funcName(f),
				fmt.Sprintf("%s has %d lines, at most %d", funcName(f), n, maxFunctionLines)})
		}
	}
	return out
}

// funcName is Type.Method or Function.
func funcName(f *ast.FuncDecl) string {
	if r := receiver(f); r != "" {
		return r + "." + f.Name.Name
	}
	return f.Name.Name
}

// receiver returns the name of the type that a method belongs to, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func fileLength(s *source) []finding {
	n := strings.Count(s.text, "\n")
	if s.generated || n <= maxFileLines {
		return nil
	}
	return []finding{{"file-length", s.path, "lines", fmt.Sprintf("has %d lines, at most %d", n, maxFileLines)}}
}

var emptyNames = regexp.MustCompile(`^(utils?|helpers?|commons?|managers?|misc)$`)

func fileName(s *source) []finding {
	var out []finding
	stem := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.path), ".go"), "_test")
	for _, part := range append(strings.Split(stem, "_"), path.Base(s.dir)) {
		if emptyNames.MatchString(part) {
			out = append(out, finding{"file-name", s.path, part, "the name " + part + " says nothing"})
		}
	}
	return out
}

// documented wants a comment at every exported identifier of a package that others can import. In a group of
// constants, variables or types the comment may stand at the group.
func documented(s *source) []finding {
	if s.generated || s.test || s.file.Name.Name == "main" {
		return nil
	}
	var out []finding
	miss := func(n ast.Node, name string) {
		out = append(out, finding{"documented", s.path, name,
			fmt.Sprintf("line %d: %s is exported and has no comment", s.line(n), name)})
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			r := receiver(d)
			if d.Name.IsExported() && d.Doc == nil && (r == "" || ast.IsExported(r)) {
				miss(d, funcName(d))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				undocumentedSpec(d, spec, miss)
			}
		}
	}
	return out
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec, miss func(ast.Node, string)) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			miss(spec, spec.Name.Name)
		}
	case *ast.ValueSpec:
		if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
			return
		}
		for _, id := range spec.Names {
			if id.IsExported() {
				miss(spec, id.Name)
			}
		}
	}
}

func docGo(all []*source) []finding {
	first := make(map[string]string) // folder → a file in it
	good := make(map[string]bool)
	for _, s := range all {
		if f, ok := first[s.dir]; !ok || s.path < f {
			first[s.dir] = s.path
		}
		if path.Base(s.path) == "doc.go" && s.file.Doc != nil && len(s.file.Doc.Text()) >= minPackageDoc {
			good[s.dir] = true
		}
	}
	var out []finding
	for dir, f := range first {
		if !good[dir] {
			out = append(out, finding{"doc-go", f, dir, "package " + dir + " has no doc.go that says what it owns"})
		}
	}
	return out
}

// unfinishedWords are put together here so that this file does not contain them.
var unfinishedWords = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b|(?i:not ` + `implemented)`)

// What gRPC generates says of every call that a server leaves out that it is not there.
func unfinished(s *source) []finding {
	if s.generated {
		return nil
	}
	return unfinishedText(s.path, s.text)
}

// unfinishedText also serves documents, scripts and configuration.
func unfinishedText(name, text string) []finding {
	var out []finding
	for i, l := range strings.Split(text, "\n") {
		if w := unfinishedWords.FindString(l); w != "" {
			out = append(out, finding{"unfinished", name, strings.ToLower(strings.ReplaceAll(w, " ", "-")),
				fmt.Sprintf("line %d says %s", i+1, w)})
		}
	}
	return out
}
