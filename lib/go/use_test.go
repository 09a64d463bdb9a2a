// SPDX-License-Identifier: GPL-2.0

package deadline

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// loop computes until its context is over, or for a long time.
func loop(c context.Context) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return errors.New("it goes on")
}

type requestKey struct{}

// A server gives each request a deadline below its connection's context; handlers that
// compute see it, and so do those who are called by them.
func TestServer(t *testing.T) {
	base, stop := WithCancelCause(WithValue(Background(), requestKey{}, "base"))
	got := make(chan error, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(requestKey{}) != "base" {
			t.Error("the request's context is not below the server's")
		}
		if r.URL.Path == "/wait" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			got <- Cause(r.Context())
			return
		}
		c, cancel := WithTimeout(r.Context(), soon)
		defer cancel()
		got <- loop(c)
	}))
	server.Config.BaseContext = func(net.Listener) context.Context { return base }
	server.Start()
	defer server.Close()
	resp, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-got; err != DeadlineExceeded {
		t.Errorf("the handler saw %v", err)
	}
	resp, err = http.Get(server.URL + "/wait")
	if err != nil {
		t.Fatal(err)
	}
	stop(errAbove) // the whole server
	if err := <-got; err != errAbove {
		t.Errorf("the waiting handler saw %v", err)
	}
	resp.Body.Close()
}

// A client's request ends at its context's deadline, also where Client.Timeout and the
// limits of the transport do not: while the server holds back the header, and the body.
func TestClient(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	defer server.Close()
	defer close(ended)
	for _, path := range []string{"/header", "/body"} {
		c, cancel := WithTimeout(Background(), 100*soon)
		request, err := http.NewRequestWithContext(c, "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(request)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !errors.Is(err, DeadlineExceeded) {
			t.Errorf("%s: %v", path, err)
		}
		cancel()
	}
}

// A dialer and a connection under a context
func TestDial(t *testing.T) {
	c, cancel := WithTimeout(Background(), 0)
	defer cancel()
	if _, err := new(net.Dialer).DialContext(c, "tcp", "127.0.0.1:1"); err == nil {
		t.Error("connected after the deadline")
	}
	here, there := net.Pipe()
	defer there.Close()
	c, cancel = WithTimeout(Background(), soon)
	defer cancel()
	stop := AfterFunc(c, func() { here.SetReadDeadline(time.Unix(1, 0)) })
	if _, err := here.Read(make([]byte, 1)); err == nil || c.Err() != DeadlineExceeded {
		t.Errorf("read: %v, %v", err, c.Err())
	}
	if stop() {
		t.Error("the function was not called")
	}
}

// A database whose queries last until their context is over
type slowDriver struct{}
type slowConn struct{}

func (slowDriver) Open(string) (driver.Conn, error)  { return slowConn{}, nil }
func (slowConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (slowConn) Close() error                        { return nil }
func (slowConn) Begin() (driver.Tx, error)           { return slowConn{}, nil }
func (slowConn) Commit() error                       { return nil }
func (slowConn) Rollback() error                     { return nil }
func (slowConn) QueryContext(c context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	<-c.Done()
	return nil, c.Err()
}

var register sync.Once

func TestDatabase(t *testing.T) {
	register.Do(func() { sql.Register("slow", slowDriver{}) })
	db, err := sql.Open("slow", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	c, cancel := WithTimeout(Background(), soon)
	defer cancel()
	if _, err := db.QueryContext(c, ""); err != DeadlineExceeded {
		t.Errorf("query: %v", err)
	}
	c, cancel = WithCancel(Background())
	tx, err := db.BeginTx(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel2 := WithTimeout(Background(), soon)
	defer cancel2()
	if _, err := db.Conn(short); err != DeadlineExceeded { // the only one is taken
		t.Errorf("conn: %v", err)
	}
	cancel()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := tx.Commit(); err == sql.ErrTxDone || time.Now().After(end) {
			break // rolled back by the goroutine that waits for the context
		} else if err != Canceled {
			t.Fatalf("commit: %v", err)
		}
	}
}

// A group runs functions until the first error, as x/sync/errgroup does.
func TestGroup(t *testing.T) {
	parent, cancelParent := WithTimeout(Background(), far)
	defer cancelParent()
	for _, f := range families {
		c, cancel := f.withCancelCause(parent)
		var all sync.WaitGroup
		for i := 0; i < 10; i++ {
			i := i
			all.Add(1)
			go func() {
				defer all.Done()
				if i == 7 {
					cancel(errBelow)
					return
				}
				if loop(c) != Canceled || context.Cause(c) != errBelow {
					t.Error(state(c))
				}
			}()
		}
		all.Wait()
	}
}
