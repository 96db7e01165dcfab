package inbox

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestALinkIsUsedByItsButtonOnly(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve())
	token := h.invite(h.ada)
	for range 3 { // previews
		res, page := c.get("/inbox/s/" + token)
		if res.StatusCode != 200 || len(res.Cookies()) > 0 {
			t.Fatalf("landing: %d, cookies %v", res.StatusCode, res.Cookies())
		}
		wantText(t, page, `<form method="post" action="/inbox/s">`, `value="`+token+`"`, "<button")
	}
	res, _ := c.post("/inbox/s", url.Values{"token": {token}})
	cookies := res.Cookies()
	if res.StatusCode != 303 || len(cookies) != 1 {
		t.Fatalf("redeem: %d, cookies %v", res.StatusCode, cookies)
	}
	if k := cookies[0]; !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.MaxAge != 12*3600 || k.Path != "/" || k.Domain != "" {
		t.Errorf("cookie: %+v", k)
	}
	if res, page := h.client(&httptest.Server{URL: c.base}).post("/inbox/s", url.Values{"token": {token}}); res.StatusCode != 410 || !strings.Contains(page, "no longer works") {
		t.Errorf("second use: %d", res.StatusCode)
	}
}

func TestTheCookieIsBoundToTheHostOverHTTPS(t *testing.T) {
	a := &app{secure: true}
	rec := httptest.NewRecorder()
	a.setCookie(rec, "x", time.Hour)
	if k := rec.Result().Cookies()[0]; k.Name != "__Host-inbox" || !k.Secure || k.Path != "/" || k.Domain != "" {
		t.Errorf("cookie: %+v", k)
	}
}

func TestNothingWithoutASession(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve())
	for _, r := range h.app.routes() {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{id}", h.collect.String(), "{$}", "", "{token}", "t", "{file}", "inbox.css").Replace(path)
		res, page := c.do(method, path, "", "")
		if strings.Contains(page, "Lisinopril") {
			t.Errorf("%s shows a prescription", r.pattern)
		}
		public := strings.Contains(path, "/static/") || strings.Contains(path, "/s/") || path == "/inbox/s" ||
			path == "/inbox/sw.js" || path == "/inbox/app.webmanifest" || path == "/inbox/policy" || path == "/inbox" || path == "/" || path == "/inbox/signout"
		if want := 401; !public && res.StatusCode != want && r.pattern != "GET /inbox/" {
			t.Errorf("%s: got %d, want %d", r.pattern, res.StatusCode, want)
		}
	}
}

func TestASessionEnds(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	h.mu.Lock()
	h.clock = h.clock.Add(sessionLife)
	h.mu.Unlock()
	if res, page := c.get("/inbox/"); res.StatusCode != 401 || !strings.Contains(page, "Your inbox is closed") {
		t.Errorf("after 12 hours: got %d", res.StatusCode)
	}
	c = h.client(&httptest.Server{URL: c.base}).signIn(h.world, h.ada)
	if res, _ := c.post("/inbox/signout", nil); res.StatusCode != 200 {
		t.Errorf("sign out: got %d", res.StatusCode)
	}
	if len(h.sessions) != 1 { // the late one
		t.Errorf("%d sessions left", len(h.sessions))
	}
	if res, _ := c.get("/inbox/"); res.StatusCode != 401 {
		t.Errorf("after sign out: got %d", res.StatusCode)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	for _, path := range []string{"/inbox/", "/inbox/p/" + h.collect.String(), "/inbox/s/x", "/inbox/nothing", "/inbox/static/inbox.js"} {
		res, page := c.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		} {
			if !strings.HasPrefix(res.Header.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, res.Header.Get(name))
			}
		}
		if static := strings.Contains(path, "static"); !static && res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept", path)
		}
		for _, inline := range []string{" style=", " onclick=", "<style", "<script>"} {
			if strings.Contains(page, inline) {
				t.Errorf("%s holds inline %q", path, inline)
			}
		}
	}
}

func TestAnotherSiteCannotChangeAnything(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	form := url.Values{"pharmacy": {h.hill.String()}}.Encode()
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		res, _ := c.do("POST", "/inbox/p/"+h.choose.String()+"/pharmacy", "application/x-www-form-urlencoded", form, header...)
		if res.StatusCode != 403 || len(h.sent) != 0 {
			t.Errorf("%v: got %d", header, res.StatusCode)
		}
	}
	res, _ := c.do("POST", "/inbox/p/"+h.choose.String()+"/pharmacy", "application/x-www-form-urlencoded", form, "Sec-Fetch-Site", "same-origin", "Origin", "null")
	if res.StatusCode != 303 || len(h.sent) != 1 {
		t.Errorf("own page: got %d", res.StatusCode)
	}
}
