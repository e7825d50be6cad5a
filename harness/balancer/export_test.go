package balancer

// Tell has HAProxy do what its operator would type.
func (b *Balancer) Tell(commands ...string) error { return b.scheduler.(*haproxy).tell(commands...) }

// Sessions is what HAProxy says of its connections.
func (b *Balancer) Sessions() (string, error) { return b.scheduler.(*haproxy).ask("show sess") }

// Kill kills HAProxy, as a crash would.
func (b *Balancer) Kill() { b.scheduler.(*haproxy).process.Kill() }

// FindAmong finds HAProxy among programs.
var FindAmong = find
