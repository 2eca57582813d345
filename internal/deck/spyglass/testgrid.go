package spyglass

import (
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Dashboards tells on which tab of which dashboard of TestGrid a job is shown best.
type Dashboards struct {
	tabs map[string]tab
}

type tab struct {
	dashboard, name string
	score           int
}

// maxGroups bounds how many jobs are known.
const maxGroups = 500_000

// Numbers of fields in the configuration of TestGrid.
const (
	fieldDashboards = 2 // of Configuration
	fieldTabs       = 1 // of Dashboard
	fieldName       = 2
	fieldTabName    = 1 // of DashboardTab
	fieldTestGroup  = 2
	fieldOptions    = 6
	baseOptionsCost = 1000
)

// ParseDashboards reads the configuration of TestGrid, a protocol buffer. Of the tabs
// that show a job the best is in the largest dashboard; those with options of their own
// are second to all others.
func ParseDashboards(config []byte) (*Dashboards, error) {
	out := &Dashboards{tabs: map[string]tab{}}
	err := fields(config, func(number protowire.Number, dashboard []byte) error {
		if number != fieldDashboards {
			return nil
		}
		var name string
		var tabs [][]byte
		err := fields(dashboard, func(number protowire.Number, value []byte) error {
			switch number {
			case fieldName:
				name = string(value)
			case fieldTabs:
				tabs = append(tabs, value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, raw := range tabs {
			if err := out.add(name, raw, -len(tabs)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of TestGrid: %w", err)
	}
	return out, nil
}

func (d *Dashboards) add(dashboard string, raw []byte, score int) error {
	t := tab{dashboard: dashboard, score: score}
	var group string
	err := fields(raw, func(number protowire.Number, value []byte) error {
		switch number {
		case fieldTabName:
			t.name = string(value)
		case fieldTestGroup:
			group = string(value)
		case fieldOptions:
			if len(value) > 0 {
				t.score += baseOptionsCost
			}
		}
		return nil
	})
	if err != nil || group == "" || dashboard == "" || t.name == "" || !utf8.ValidString(dashboard+t.name) {
		return err
	}
	if best, ok := d.tabs[group]; ok && best.score <= t.score {
		return nil
	}
	if len(d.tabs) >= maxGroups {
		return errors.New("it has too many jobs")
	}
	d.tabs[group] = t
	return nil
}

// fields calls of for every field that has a length; others are skipped.
func fields(message []byte, of func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := of(number, value); err != nil {
			return err
		}
	}
	return nil
}

// Link leads to the tab of a job below the address of TestGrid; empty where none shows it.
func (d *Dashboards) Link(root, job string) string {
	if d == nil || root == "" {
		return ""
	}
	t, ok := d.tabs[job]
	if !ok {
		return ""
	}
	if root[len(root)-1] != '/' {
		root += "/"
	}
	return root + url.PathEscape(t.dashboard) + "#" + url.PathEscape(t.name)
}
