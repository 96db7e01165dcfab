package main

import "strings"

// The package is that of a server with additions of its own: elements of R5 and of the server's own making.
// They are left out here, so that the table is R4's. Compared with HL7's JSON schema of R4.

// foreign reports whether a path, or a path above it, is not in R4.
func foreign(path string) bool {
	for _, f := range []string{
		"SubscriptionStatus", "Binary.url", "DeviceDefinition.bodySite",
		"Meta.project", "Meta.onBehalfOf", "Meta.account", "Meta.accounts", "Meta.compartment", "Meta.author",
		"ResearchStudy.associatedParty", "ResearchStudy.classifier", "ResearchStudy.comparisonGroup", "ResearchStudy.descriptionSummary",
		"ResearchStudy.label", "ResearchStudy.name", "ResearchStudy.objective.description", "ResearchStudy.outcomeMeasure",
		"ResearchStudy.progressStatus", "ResearchStudy.recruitment", "ResearchStudy.region", "ResearchStudy.result",
		"ResearchStudy.studyDesign", "ResearchStudy.whyStopped", "EvidenceVariable.characteristic",
	} {
		if path == f || strings.HasPrefix(path, f+".") {
			return true
		}
	}
	return false
}

// replaced is what R4 has instead of what was left out.
const replaced = `EvidenceVariable.characteristic < BackboneElement
  description string ?
  definition[x] Reference(Group)|canonical|CodeableConcept|Expression|DataRequirement|TriggerDefinition !
  usageContext UsageContext *
  exclude boolean ?
  participantEffective[x] dateTime|Period|Duration|Timing ?
  timeFromStart Duration ?
  groupMeasure code ? : mean|mean-of-mean|mean-of-median|median|median-of-mean|median-of-median
`
