package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/dosewire/dosewire/fhir"
	"github.com/dosewire/dosewire/internal/fault"
)

// parametersType is how the input of an operation may be wrapped (FHIR R4 operations.html#request).
const parametersType = "Parameters"

// operand is the parameter "resource" of an operation, byte for byte; nil if there is none. Beside it
// nothing is served: not mode, not profile. body is a Parameters that package fhir decoded before, so that
// no name is given twice. What encoding/json says is not wrapped: it may quote a number.
func operand(body []byte) ([]byte, error) {
	// maps, because the fields of a struct would take names in other case
	var root map[string]json.RawMessage
	if json.Unmarshal(body, &root) != nil {
		return nil, fault.Of(fault.CodeSyntax)
	}
	var all []map[string]json.RawMessage
	if list, given := root["parameter"]; given && json.Unmarshal(list, &all) != nil {
		return nil, fault.Of(fault.CodeStructure).At("Parameters.parameter")
	}
	at := slices.IndexFunc(all, isOperand)
	if at < 0 {
		return nil, nil
	}
	if len(all) > 1 {
		other := 0
		if at == 0 {
			other = 1
		}
		return nil, fault.Of(fault.CodeNotServed).At(fmt.Sprintf("Parameters.parameter[%d]", other))
	}
	resource, given := all[at]["resource"]
	switch {
	case !given:
		return nil, fault.Of(fault.CodeRequired).At("Parameters.parameter[0].resource")
	case resource[0] != '{':
		return nil, fault.Of(fault.CodeStructure).At("Parameters.parameter[0].resource")
	}
	return resource, nil
}

func isOperand(parameter map[string]json.RawMessage) bool {
	var name string
	return json.Unmarshal(parameter["name"], &name) == nil && name == "resource"
}

// moveBelow makes places in a resource places in the body around it, by the text before the resource.
func moveBelow(issues []fhir.Issue, before []byte) {
	lines := bytes.Count(before, []byte("\n"))
	columns := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	for i := range issues {
		switch issue := &issues[i]; issue.Line {
		case 0: // unknown
		case 1:
			issue.Line, issue.Col = 1+lines, issue.Col+columns
		default:
			issue.Line += lines
		}
	}
}
