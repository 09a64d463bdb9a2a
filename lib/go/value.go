// SPDX-License-Identifier: MIT

package deadline

import (
	"context"
	"reflect"
	"time"
)

// A valueCtx is a ctx with a value. Were it package context's, children of that
// package could not see the AfterFunc behind it and would need a goroutine each.
type valueCtx struct {
	*ctx
	parent   Context
	key, val any
}

// WithValue is context.WithValue.
func WithValue(parent Context, key, val any) Context {
	if parent == nil {
		panic("cannot create context from nil parent")
	}
	up := direct(parent)
	if up == nil {
		return context.WithValue(parent, key, val)
	}
	if key == nil {
		panic("nil key")
	}
	if !reflect.TypeOf(key).Comparable() {
		panic("key is not comparable")
	}
	return &valueCtx{up, parent, key, val}
}

func (c *valueCtx) Deadline() (time.Time, bool) { return c.parent.Deadline() }
func (c *valueCtx) Value(key any) any           { return value(c, key) }
func (c *ctx) Value(key any) any                { return value(c, key) }

// ownKey is the key by which a ctx is found behind contexts of others.
var ownKey int

// causeKey is the key for which context.Cause asks.
var causeKey = func() any {
	p := probe{Context: context.Background()}
	context.Cause(&p)
	return p.key
}()

type probe struct {
	Context
	key any
}

// Err is not nil: else context.Cause of Go 1.27 asks for no value.
func (p *probe) Err() error { return context.Canceled }

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

func value(c Context, key any) any {
	for {
		switch at := c.(type) {
		case *valueCtx:
			if key == at.key {
				return at.val
			}
			c = at.parent
		case *ctx:
			if key == &ownKey {
				return at
			}
			if key == causeKey {
				return at.told(key)
			}
			c = at.parent
		default:
			return c.Value(key)
		}
	}
}

// told is what context.Cause finds: a context of that package with the same cause.
// Err is no substitute: up to Go 1.22, context.Cause does not ask it.
func (c *ctx) told(key any) any {
	o := c.outcome()
	if o == nil {
		return nil
	}
	same, cancel := context.WithCancelCause(context.Background())
	cancel(o.cause)
	return same.Value(key)
}

// direct is the one of ours that c is, but for values.
func direct(c Context) *ctx {
	switch c := c.(type) {
	case *ctx:
		return c
	case *valueCtx:
		return c.ctx
	}
	return nil
}

// ours is that, behind values of package context too.
func ours(c Context) *ctx {
	if own := direct(c); own != nil {
		return own
	}
	done := c.Done()
	if done == nil {
		return nil
	}
	own, _ := c.Value(&ownKey).(*ctx)
	if own == nil || own.Done() != done {
		return nil // or there is another between that can end
	}
	return own
}

func name(c Context) string {
	if s, ok := c.(interface{ String() string }); ok {
		return s.String()
	}
	return reflect.TypeOf(c).String()
}

func (c *ctx) String() string {
	if !c.own {
		return name(c.parent) + ".WithCancel"
	}
	d, _ := c.Deadline()
	return name(c.parent) + ".WithDeadline(" + d.String() + " [" +
		time.Until(d).String() + "])"
}

func (c *valueCtx) String() string {
	return name(c.parent) + ".WithValue(" + text(c.key) + ", " + text(c.val) + ")"
}

func text(v any) string {
	switch v := v.(type) {
	case interface{ String() string }:
		return v.String()
	case string:
		return v
	case nil:
		return "<nil>"
	}
	return reflect.TypeOf(v).String()
}
