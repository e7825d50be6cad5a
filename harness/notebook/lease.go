package notebook

func (c *call) revoke() error {
	who, id := c.one("who"), c.one("instance")
	c.nb.left(id)
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	revision, err := c.b().Revoke(c.ctx(), client, c.b().Instance(id).Key())
	if err != nil {
		return c.fails(err, "the lease of %s is not revoked %s", id, c.nb.way(who))
	}
	c.say("the lease of %s is revoked %s: etcd deletes its key (revision %d)",
		id, c.nb.way(who), c.nb.revision(revision))
	return c.caughtUp()
}

func (c *call) renew() error {
	who, id := c.one("who"), c.one("instance")
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	ctx, cancel := c.patiently(longPatience)
	defer cancel()
	seconds, err := c.b().Renew(ctx, client, c.b().Instance(id).Key())
	switch {
	case ctx.Err() != nil && c.ctx().Err() == nil:
		c.say("%s has no answer: nobody gave one as long as it waited", who)
	case err != nil:
		return c.fails(err, "the lease of %s is not renewed %s", id, c.nb.way(who))
	case seconds < int64(c.b().Instance(id).Config().TTL.Seconds()):
		c.say("the lease of %s is said to be renewed %s, and has less left than a renewal gives", id, c.nb.way(who))
	default:
		c.say("the lease of %s is renewed %s", id, c.nb.way(who))
	}
	return nil
}
