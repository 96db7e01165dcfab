// Package webpush sends Web Push messages: RFC 8030 requests, encrypted by RFC 8291 and signed by
// RFC 8292 (VAPID). It needs the standard library only and can be used alone.
//
// Promises:
//   - Every ciphertext of a [Sender] has the same length, so that size says nothing about content.
//   - One [http.Transport] and one signed token per push service for the Sender's whole life; the
//     VAPID key is a [crypto.Signer] and may live in a KMS.
//   - An endpoint is a URL that a stranger chose. It is used only when it is https, without user
//     information, on port 443 and below an allowed host; the address it resolves to must be public,
//     checked after resolution and before connecting; redirects and proxies are never followed.
//   - Every attempt has one [Verdict], which says what to do with the subscription and the message.
//   - Errors name neither endpoint nor keys.
//
// A Sender is safe for concurrent use. It does not queue, retry, wait or store: the caller does.
package webpush
