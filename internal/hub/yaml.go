package hub

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decodeFile reads YAML key by key, so that every mistake is found and named by key and line. The
// library's own decoder stops at the first and quotes the text around it, secrets included.
func decodeFile(text []byte, c *Config) []error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return []error{mistake("the file is not YAML: %s", firstLine(yaml.FormatError(err, false, false)))}
	}
	d := &decoder{}
	switch {
	case len(file.Docs) > 1:
		d.wrong(file.Docs[1].Body, "", "only one YAML document is read")
	case len(file.Docs) == 1 && file.Docs[0].Body != nil:
		d.mapping("", file.Docs[0].Body, reflect.ValueOf(c).Elem())
	}
	return d.errs
}

type decoder struct{ errs []error }

func (d *decoder) wrong(n ast.Node, key, what string) {
	line := 0
	if n != nil {
		line = n.GetToken().Position.Line
	}
	d.errs = append(d.errs, mistake("line %d: %s %s", line, key, what))
}

// pairs lists the keys of a mapping; ok is false for anything else.
func pairs(n ast.Node) (values []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode: // a mapping of one key
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode, *ast.CommentGroupNode: // every key below is commented out
		return nil, true
	}
	return nil, false
}

func (d *decoder) mapping(path string, n ast.Node, into reflect.Value) {
	values, ok := pairs(n)
	if !ok {
		d.wrong(n, path, "is not a mapping")
		return
	}
	for _, pair := range values {
		name := pair.Key.GetToken().Value
		key := strings.TrimPrefix(path+"."+name, ".")
		if key == "adapters" {
			d.adapters(pair.Value, into.FieldByName("Adapters"))
			continue
		}
		field, ok := fieldOf(into, name)
		switch {
		case !ok:
			d.wrong(pair.Key, key, "is not a known key")
		case field.Kind() == reflect.Struct:
			d.mapping(key, pair.Value, field)
		default:
			d.scalar(key, pair.Value, field)
		}
	}
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag == key && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// scalar sets one field. A null leaves the default.
func (d *decoder) scalar(key string, n ast.Node, field reflect.Value) {
	if n.Type() == ast.NullType {
		return
	}
	var err error
	switch n := n.(type) {
	case *ast.SequenceNode:
		err = yaml.NodeToValue(n, field.Addr().Interface())
	case *ast.LiteralNode:
		err = setText(field, strings.TrimSuffix(n.Value.Value, "\n"))
	case ast.ScalarNode:
		err = setText(field, n.GetToken().Value)
	default:
		d.wrong(n, key, "is not a single value")
		return
	}
	if err != nil {
		d.wrong(n, key, "is "+expected(field))
	}
}

func expected(field reflect.Value) string {
	switch field.Interface().(type) {
	case bool:
		return "not true or false"
	case int:
		return "not a whole number"
	case time.Duration:
		return "not a duration such as 20s"
	case []string:
		return "not a list of texts"
	}
	return "not a text"
}

// adapters keeps each adapter's options as JSON: the adapter decodes them, as strictly.
func (d *decoder) adapters(n ast.Node, into reflect.Value) {
	values, ok := pairs(n)
	if !ok {
		d.wrong(n, "adapters", "is not a mapping")
		return
	}
	all := map[string]json.RawMessage{}
	for _, pair := range values {
		name := pair.Key.GetToken().Value
		var options map[string]any
		err := yaml.NodeToValue(pair.Value, &options)
		if err != nil {
			d.wrong(pair.Value, "adapters."+name, "is not a mapping")
			continue
		}
		if all[name], err = json.Marshal(options); err != nil {
			d.wrong(pair.Value, "adapters."+name, "has a key that is not a text")
		}
	}
	into.Set(reflect.ValueOf(all))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
