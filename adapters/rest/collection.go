package rest

// collection is a searchset or history Bundle, written around resources that stay byte for byte.
type collection struct {
	kind    string // searchset or history
	total   *int   // nil = not counted
	links   []link
	entries []member
}

// member is one entry of a collection.
type member struct {
	fullURL  string
	resource []byte
	mode     string // of a searchset
	request  *request
	response *response
}

type request struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type response struct {
	Status       string `json:"status"`
	Etag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

func (c collection) bundle() ([]byte, error) {
	head := struct {
		ResourceType string `json:"resourceType"`
		Type         string `json:"type"`
		Total        *int   `json:"total,omitempty"`
		Link         []link `json:"link,omitempty"`
	}{"Bundle", c.kind, c.total, c.links}
	b, err := marshal(head)
	if err != nil {
		return nil, err
	}
	b = b[:len(b)-1] // open again
	for i, m := range c.entries {
		b = append(b, []string{`,"entry":[`, `,`}[min(i, 1)]...)
		if b, err = m.append(b); err != nil {
			return nil, err
		}
	}
	if len(c.entries) > 0 {
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

func (m member) append(b []byte) ([]byte, error) {
	type search struct {
		Mode string `json:"mode"`
	}
	around := struct {
		Search   *search   `json:"search,omitempty"`
		Request  *request  `json:"request,omitempty"`
		Response *response `json:"response,omitempty"`
	}{Request: m.request, Response: m.response}
	if m.mode != "" {
		around.Search = &search{m.mode}
	}
	url, err := marshal(m.fullURL)
	if err != nil {
		return nil, err
	}
	rest, err := marshal(around)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `{"fullUrl":`...), url...)
	b = append(append(b, `,"resource":`...), m.resource...)
	if len(rest) > len(`{}`) {
		b = append(append(b, ','), rest[1:]...)
		return b, nil
	}
	return append(b, '}'), nil
}
