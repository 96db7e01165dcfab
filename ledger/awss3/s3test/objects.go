package s3test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// do answers one request. The caller holds the lock: condition and write are one step.
func (s *Server) do(r *http.Request, key string, body []byte) (Version, *problem) {
	switch r.Method {
	case http.MethodPut:
		return s.put(r, key, body)
	case http.MethodGet, http.MethodHead:
		v, ok := s.current(key)
		if !ok {
			return v, refusal(http.StatusNotFound, "NoSuchKey")
		}
		return v, nil
	case http.MethodDelete:
		return s.remove(r, key)
	}
	return Version{}, refusal(http.StatusMethodNotAllowed, "MethodNotAllowed")
}

// current is the newest version unless that is a delete marker.
func (s *Server) current(key string) (Version, bool) {
	all := s.objects[key]
	if len(all) == 0 || all[len(all)-1].Marker {
		return Version{}, false
	}
	return all[len(all)-1], true
}

func (s *Server) put(r *http.Request, key string, body []byte) (Version, *problem) {
	old, exists := s.current(key)
	none, match := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	switch {
	case none != "" && none != "*":
		return Version{}, refusal(http.StatusNotImplemented, "NotImplemented")
	case none == "*" && exists:
		return Version{}, refusal(http.StatusPreconditionFailed, "PreconditionFailed")
	case match != "" && !exists:
		return Version{}, refusal(http.StatusNotFound, "NoSuchKey")
	case match != "" && match != old.ETag:
		return Version{}, refusal(http.StatusPreconditionFailed, "PreconditionFailed")
	}
	v := Version{Data: body, ETag: etag(body), ContentType: r.Header.Get("Content-Type"), Mode: r.Header.Get("X-Amz-Object-Lock-Mode")}
	date := r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date")
	if (v.Mode == "") != (date == "") {
		return Version{}, refusal(http.StatusBadRequest, "InvalidArgument")
	}
	if v.Mode != "" {
		until, err := time.Parse(time.RFC3339, date)
		if err != nil || !until.After(s.now()) || !slices.Contains([]string{"COMPLIANCE", "GOVERNANCE"}, v.Mode) {
			return Version{}, refusal(http.StatusBadRequest, "InvalidArgument")
		}
		// S3 demands an integrity check of a locked upload
		if r.Header.Get("Content-Md5") == "" && r.Header.Get("X-Amz-Checksum-Crc32") == "" && r.Header.Get("X-Amz-Trailer") == "" {
			return Version{}, refusal(http.StatusBadRequest, "InvalidRequest")
		}
		v.Until = until
	}
	return s.add(key, v), nil
}

func (s *Server) add(key string, v Version) Version {
	s.serial++
	v.ID = strconv.Itoa(s.serial)
	s.objects[key] = append(s.objects[key], v)
	return v
}

// remove adds a marker, or deletes the named version if no lock holds it.
func (s *Server) remove(r *http.Request, key string) (Version, *problem) {
	id := r.URL.Query().Get("versionId")
	if id == "" {
		return s.add(key, Version{Marker: true}), nil
	}
	all := s.objects[key]
	i := slices.IndexFunc(all, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return Version{}, refusal(http.StatusNotFound, "NoSuchVersion")
	}
	bypass := all[i].Mode == "GOVERNANCE" && r.Header.Get("X-Amz-Bypass-Governance-Retention") == "true"
	if all[i].Mode != "" && s.now().Before(all[i].Until) && !bypass {
		return Version{}, refusal(http.StatusForbidden, "AccessDenied")
	}
	s.objects[key] = slices.Delete(all, i, i+1)
	return Version{ID: id}, nil
}

// etag is opaque to clients. S3's is an MD5 for objects like these; a test endpoint needs no MD5.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}
