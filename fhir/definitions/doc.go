// Package definitions holds what FHIR R4 (4.0.1) says about all of its types, as a table of some 40 kB.
//
// Promises:
//   - Complete: every resource and data type, every element with its cardinality, types, choices,
//     reference targets, the codes of its required binding, and the keys of its error-level constraints.
//   - Made, not written: go generate makes it from one pinned package of the official
//     StructureDefinitions, whose hash is checked. The table is committed.
//   - Constant: [Text] returns the same text always. Safe for concurrent use.
//
// It judges nothing: package fhir does.
//
// The text has one element a line:
//
//	Dosage < BackboneElement        a type, and the type whose elements it has too
//	  sequence integer ?            name, type, cardinality: ? 0..1, ! 1..1, * 0..*, + 1..*
//	  asNeeded[x] boolean|CodeableConcept ?          a choice of types
//	  method CodeableConcept ?
//	  doseAndRate . *               a dot: the element's own type, Dosage.doseAndRate
//	  timing Timing ? = tim-9       keys of constraints
//	  subject Reference(Group|Patient) !             what the reference may lead to
//	  status code ! : active|draft                   codes of a required binding
//	  contentType code ? : ~mime    the form of codes that cannot be listed: ~mime, ~currency, ~unit
//	  low SimpleQuantity ?          the profile of Quantity, written like a type
//	  clinicalStatus CodeableConcept ? : http://…#active|resolved;http://…#…   the same, with systems
package definitions

//go:generate go run ./generate -out r4.txt.gz
