package awskms

import (
	"errors"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/dosewire/dosewire/internal/fault"
)

// What KMS says, by what one can do about it.
var (
	// ErrUnwrap: the blob was changed, or another key or context made it.
	ErrUnwrap = fault.New(fault.Tampered, "awskms: this KMS key did not wrap this key for this purpose, or it was changed")
	// ErrBusy: try again; the caller has been tried for already.
	ErrBusy = fault.New(fault.Unavailable, "awskms: KMS throttles us; ask for a higher request quota if it lasts")
	// ErrDown: KMS or the way to it failed.
	ErrDown = fault.New(fault.Unavailable, "awskms: KMS cannot be reached now; look at the network, the endpoint and AWS's health page")
	// ErrDenied: neither key policy nor role allows it, or the credentials are not valid.
	ErrDenied = fault.New(fault.Denied, "awskms: KMS refuses us; allow kms:Encrypt and kms:Decrypt (kms:Sign and kms:GetPublicKey to a notary) to the hub's role in the key policy, and look at the role's credentials")
	// ErrDisabled: enable the key.
	ErrDisabled = fault.New(fault.Denied, "awskms: the KMS key is disabled; enable it (aws kms enable-key)")
	// ErrDeletion: what it protects is lost for ever when the key is deleted.
	ErrDeletion = fault.New(fault.Denied, "awskms: the KMS key is pending deletion or cannot be used; cancel the deletion AT ONCE (aws kms cancel-key-deletion, then enable-key): without this key every record is lost")
	// ErrNoKey: no such key in this account and region.
	ErrNoKey = fault.New(fault.Denied, "awskms: there is no such KMS key; look at the ARN's region, account and id")
	// ErrUsage: the key is of another kind than it is used for.
	ErrUsage = fault.New(fault.Invalid, "awskms: the KMS key is of the wrong kind; a wrapping key is SYMMETRIC_DEFAULT, a checkpoint key ECC_NIST_EDWARDS25519")
	errOther = fault.New(fault.Unavailable, "awskms: KMS answered with an unexpected error")
)

// refuse gives an error of the SDK its kind. The cause keeps KMS's code and request id for the log.
func refuse(err error) error {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok { // no answer: connection, time-out, credentials that cannot be fetched
		return ErrDown.Wrap(err)
	}
	m := meaning(api)
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok && m == errOther && r.HTTPStatusCode() >= 500 {
		m = ErrDown
	}
	return m.Wrap(err)
}

func meaning(api smithy.APIError) *fault.Error {
	switch api.ErrorCode() {
	case "InvalidCiphertextException", "IncorrectKeyException":
		return ErrUnwrap
	case "ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException", "TooManyRequestsException", "SlowDown":
		return ErrBusy
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationTokenException", "ExpiredTokenException", "NotAuthorized", "OptInRequired":
		return ErrDenied
	case "DisabledException":
		return ErrDisabled
	case "KMSInvalidStateException":
		return ErrDeletion
	case "NotFoundException", "InvalidArnException":
		return ErrNoKey
	case "InvalidKeyUsageException", "UnsupportedOperationException":
		return ErrUsage
	case "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "InternalFailure", "ServiceUnavailable":
		return ErrDown
	}
	return errOther
}
