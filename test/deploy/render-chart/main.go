// Renders a chart as `helm template` does, with the template engine and the function library Helm itself is made of:
//
//	render-chart <chart folder> <release> <namespace> <values as JSON>
//
// Helm is in no package archive the tests can use. What it adds to its parts is little, and here: the values' merging, the
// built-in objects, and the functions include, required, toYaml, fromYaml and tpl.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

type files struct{ root string }

// Get is the text of a file of the chart; empty when there is none, as in Helm.
func (f files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		return ""
	}
	return string(text)
}

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: render-chart <chart folder> <release> <namespace> <values as JSON>"))
	}
	root, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	given := object{}
	check(json.Unmarshal([]byte(os.Args[4]), &given))
	values := object{}
	check(yaml.Unmarshal(read(filepath.Join(root, "values.yaml")), &values))
	chart := object{}
	check(yaml.Unmarshal(read(filepath.Join(root, "Chart.yaml")), &chart))

	data := object{
		"Values": coalesce(values, given),
		"Chart":  object{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
		"Release": object{
			"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1,
		},
		"Files": files{root},
	}

	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(sprig.TxtFuncMap()).Funcs(template.FuncMap{
		"include": func(name string, about interface{}) (string, error) {
			var out strings.Builder
			err := all.ExecuteTemplate(&out, name, about)
			return out.String(), err
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return nil, fmt.Errorf("%s", message)
			}
			return value, nil
		},
		"toYaml": func(value interface{}) (string, error) {
			text, err := yaml.Marshal(value)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"fromYaml": func(text string) (object, error) {
			value := object{}
			err := yaml.Unmarshal([]byte(text), &value)
			return value, err
		},
		"tpl": func(text string, about interface{}) (string, error) {
			one, err := template.Must(all.Clone()).New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var out strings.Builder
			err = one.Execute(&out, about)
			return out.String(), err
		},
	})

	names, err := filepath.Glob(filepath.Join(root, "templates", "*"))
	check(err)
	sort.Strings(names)
	for _, name := range names {
		_, err := all.New(filepath.Base(name)).Parse(string(read(name)))
		check(err)
	}
	for _, name := range names {
		base := filepath.Base(name)
		if strings.HasPrefix(base, "_") {
			continue
		}
		var out strings.Builder
		check(all.ExecuteTemplate(&out, base, data))
		// Helm prints a missing value as nothing.
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		fmt.Printf("---\n# Source: %s\n%s\n", base, text)
	}
}

// coalesce lays what was given over the defaults: maps are merged, everything else is replaced, null removes a key.
func coalesce(defaults, given object) object {
	result := object{}
	for key, value := range defaults {
		result[key] = value
	}
	for key, value := range given {
		below, isMap := value.(object)
		beneath, hasMap := result[key].(object)
		switch {
		case value == nil:
			delete(result, key)
		case isMap && hasMap:
			result[key] = coalesce(beneath, below)
		default:
			result[key] = value
		}
	}
	return result
}

func read(path string) []byte {
	text, err := os.ReadFile(path)
	check(err)
	return text
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "render-chart:", err)
	os.Exit(1)
}
