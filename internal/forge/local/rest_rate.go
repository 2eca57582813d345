package local

func getRateLimit(c *call) (any, error) {
	res := obj{}
	for _, name := range rateResources {
		s, _ := c.f.rates.spend(c.who, name, 0)
		res[name] = s.json()
	}
	return obj{"resources": res, "rate": res["core"]}, nil
}
