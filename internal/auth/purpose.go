package auth

// purposes are the codes of v3 PurposeOfUse for which an organisation that prescribes or dispenses may
// read. The purpose stands in the disclosure log: a word that nobody can look up there says nothing.
var purposes = []string{
	"TREAT", "ETREAT", "ERTREAT", "BTG", "COC", "CAREMGT", "CLINTRL", "POPHLTH", // treatment, in an emergency too
	"HPAYMT", "CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "REMITADV", // payment
	"HOPERAT", "HCOMPL", "HLEGAL", "HQUALIMP", "HOUTCOMS", "HSYSADMIN", "PATADMIN", "PATSFTY", "PERFMSR", "RECORDMGT", "FRAUD", "HTEST", "TRAIN", // operations
	"PATRQT", "FAMRQT", "PWATRNY", "SUPNWK", // the patient asks, or somebody for them
	"PUBHLTH", "DISASTER", "THREAT", "HRESCH", // public health, research
}
