// SPDX-License-Identifier: MIT

package deadline_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"time"

	context "deadline" // instead of "context": the whole change
)

// A loop that only computes: package context's Err would be nil until the scheduler has
// stopped the loop, 15 to 35 ms after the deadline.
func ExampleWithTimeout() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	deadline, _ := ctx.Deadline()
	sum := 1
	for ctx.Err() == nil {
		sum += sum % 7 // the work
	}
	fmt.Println(ctx.Err(), time.Since(deadline) >= 0)
	// Output: context deadline exceeded true
}

// A loop that asks by a select with a default.
func ExampleWithDeadline() {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(5*time.Millisecond))
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			fmt.Println(ctx.Err())
			return
		default:
			runtime.Gosched()
		}
	}
	// Output: context deadline exceeded
}

var errTooSlow = errors.New("the index was too slow")

// The cause says which of several deadlines it was.
func ExampleWithTimeoutCause() {
	request, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	index, cancel := context.WithTimeoutCause(request, time.Millisecond, errTooSlow)
	defer cancel()
	<-index.Done()
	fmt.Println(index.Err(), "-", context.Cause(index), "-", request.Err())
	// Output: context deadline exceeded - the index was too slow - <nil>
}

// A client is protected twice: its request ends with its context, and its connections
// have limits of their own for each phase, which are Go's timers.
func Example_client() {
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-hung // without so much as a header
	}))
	defer server.Close()
	defer close(hung)

	client := &http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: time.Second}).DialContext,
		ResponseHeaderTimeout: time.Second,
		IdleConnTimeout:       time.Minute,
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if err != nil {
		panic(err)
	}
	_, err = client.Do(request)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// A server whose requests are all below one context, and each below a deadline.
func Example_server() {
	base, stop := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Millisecond)
		defer cancel()
		for ctx.Err() == nil { // compute an answer
		}
		http.Error(w, ctx.Err().Error(), http.StatusGatewayTimeout)
	}))
	server.Config.BaseContext = func(net.Listener) context.Context { return base }
	server.Start()
	defer server.Close()
	defer stop()
	response, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	fmt.Printf("%s: %s", response.Status, answer)
	// Output: 504 Gateway Timeout: context deadline exceeded
}

// A read that ends with a context.
func ExampleAfterFunc() {
	here, there := net.Pipe()
	defer there.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { here.SetReadDeadline(time.Now()) })
	defer stop()
	_, err := here.Read(make([]byte, 1))
	fmt.Println(err, "-", ctx.Err())
	// Output: read pipe: i/o timeout - context deadline exceeded
}

// A scheduler that keeps one slot for each of its tasks, without contexts.
func ExampleQueue() {
	queue, err := context.Open(100)
	if err != nil {
		fmt.Println("true true") // there is no device
		return
	}
	defer queue.Close()
	told := make(chan bool)
	slot, err := queue.Slot(func() { told <- true })
	if err != nil {
		panic(err)
	}
	defer slot.Free()
	slot.Arm(time.Hour)
	slot.Arm(time.Millisecond) // instead
	fmt.Println(<-told, slot.Over())
	// Output: true true
}
