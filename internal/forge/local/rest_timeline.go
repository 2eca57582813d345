package local

import "sort"

// listTimeline shows the events of an issue together with its comments and
// reviews, in order.
func listTimeline(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	type entry struct {
		at when
		o  obj
	}
	var all []entry
	events, err := c.events(i.ID)
	if err != nil {
		return nil, err
	}
	for k := range events {
		o, err := c.eventJSON(rp, &events[k])
		if err != nil {
			return nil, err
		}
		all = append(all, entry{events[k].Created, o})
	}
	comments, err := list(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.issue_id = ? ORDER BY c.id", i.ID)
	if err != nil {
		return nil, err
	}
	for k := range comments {
		o, err := c.commentJSON(rp, i, &comments[k])
		if err != nil {
			return nil, err
		}
		o["event"], o["actor"] = "commented", o["user"]
		all = append(all, entry{comments[k].Created, o})
	}
	if i.Pull != nil {
		reviews, err := c.reviews(i.ID)
		if err != nil {
			return nil, err
		}
		for k := range reviews {
			if reviews[k].State == "PENDING" {
				continue
			}
			o, err := c.reviewJSON(rp, i, &reviews[k])
			if err != nil {
				return nil, err
			}
			o["event"], o["state"] = "reviewed", lower(reviews[k].State)
			all = append(all, entry{reviews[k].Submitted, o})
		}
	}
	sort.SliceStable(all, func(a, b int) bool { return all[a].at.Before(all[b].at.Time) })
	out := make([]obj, 0, len(all))
	for _, e := range all {
		out = append(out, e.o)
	}
	return paginate(c, out), nil
}

func getEvent(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	e, err := one(c.reader, scanEvent, "SELECT "+eventCols+" FROM events e JOIN issues i ON i.id = e.issue_id WHERE e.id = ? AND i.repo_id = ?", id, rp.ID)
	if err != nil {
		return nil, err
	}
	return c.eventJSON(rp, e)
}

func listRepoEvents(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanEvent, "SELECT "+eventCols+" FROM events e JOIN issues i ON i.id = e.issue_id WHERE i.repo_id = ? ORDER BY e.id DESC", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(e *event) (obj, error) {
		o, err := c.eventJSON(rp, e)
		if err != nil {
			return nil, err
		}
		i, err := c.issueID(e.IssueID)
		if err != nil {
			return nil, err
		}
		o["issue"], err = c.issueJSON(rp, i)
		return o, err
	})
}
