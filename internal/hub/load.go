package hub

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Load reads a configuration: the file (none when path is ""), then the environment, then defaults.
// It returns every mistake at once, of kind Invalid; texts name keys and lines, never values.
// environ is that of os.Environ.
func Load(path string, environ []string) (Config, error) {
	var c Config
	var errs []error
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, fault.New(fault.Invalid, "config: the file cannot be read").Wrap(err)
		}
		errs = append(errs, decodeFile(text, &c)...)
	}
	errs = append(errs, decodeEnviron(environ, &c)...)
	c = c.WithDefaults()
	errs = append(errs, c.Validate())
	return c, errors.Join(errs...)
}

// reserved are variables with our prefix that the commands use themselves.
func reserved(name string) bool { return name == "DOSEWIRE_CONFIG" || name == "DOSEWIRE_AS" }

// decodeEnviron sets the fields whose variables are there. An unknown variable with our prefix is a
// mistake, because it is a misspelt one.
func decodeEnviron(environ []string, c *Config) (errs []error) {
	fields := map[string]reflect.Value{}
	byVariable(reflect.ValueOf(c).Elem(), fields)
	var port, database string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		field, ok := fields[name]
		switch {
		case name == "PORT":
			port = value
		case name == "DATABASE_URL":
			database = value
		case ok:
			if err := setText(field, value); err != nil {
				errs = append(errs, mistake("variable %s: %v", name, err))
			}
		case strings.HasPrefix(name, "DOSEWIRE_") && !reserved(name):
			errs = append(errs, mistake("variable %s is not known", name))
		}
	}
	if port != "" {
		c.HTTP.Address = withPort(c.HTTP.Address, port)
	}
	if c.Store.DSN == "" {
		c.Store.DSN = database
	}
	return errs
}

// withPort replaces the port of an address that may not be set yet.
func withPort(address, port string) string {
	if address == "" {
		address = Config{}.WithDefaults().HTTP.Address
	}
	host, _, found := strings.Cut(address, ":")
	if i := strings.LastIndexByte(address, ':'); found && i >= 0 {
		host = address[:i]
	}
	return host + ":" + port
}

// byVariable collects the fields by their env tag.
func byVariable(v reflect.Value, into map[string]reflect.Value) {
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("env"); name != "" {
			into[name] = v.Field(i)
		} else if v.Field(i).Kind() == reflect.Struct {
			byVariable(v.Field(i), into)
		}
	}
}

// setText sets a field from its text; the error says what was expected.
func setText(field reflect.Value, text string) error {
	switch field.Interface().(type) {
	case string:
		field.SetString(text)
	case []string:
		field.Set(reflect.ValueOf(strings.Split(text, ",")))
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("not true or false")
		}
		field.SetBool(b)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("not a whole number")
		}
		field.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("not a duration such as 20s")
		}
		field.SetInt(int64(d))
	default:
		return errors.New("cannot be set by a variable")
	}
	return nil
}

func mistake(format string, args ...any) error {
	return fault.New(fault.Invalid, "config: "+fmt.Sprintf(format, args...))
}
