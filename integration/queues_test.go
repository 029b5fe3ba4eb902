package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/taskspan/taskspan/worker/riverworker"
)

// queueJob is a job that nobody works.
type queueJob struct{}

func (queueJob) Kind() string { return "queue_job" }

// TestObserveQueuesOnPostgres fills queues on a real server, in a schema whose name
// has to be quoted.
func TestObserveQueuesOnPostgres(t *testing.T) {
	t.Attr("database", "PostgreSQL")
	t.Attr("driver", "pgx")
	t.Attr("verified", "gauges of River's queues")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	database := postgresServer.create(t) // which starts the server
	pool, err := pgxpool.New(t.Context(), postgresDSN(postgresServer.address, database))
	must(err)
	defer pool.Close()
	const schema = "Queues"
	_, err = pool.Exec(t.Context(), `CREATE SCHEMA "`+schema+`"`)
	must(err)
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Schema: schema})
	must(err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	must(err)
	client, err := river.NewClient(driver, &river.Config{Schema: schema})
	must(err)

	reader := sdkmetric.NewManualReader()
	stop, err := riverworker.ObserveQueues(client,
		riverworker.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	must(err)
	defer stop()
	for _, opts := range []river.InsertOpts{
		{ScheduledAt: time.Now().Add(-3 * time.Hour)},
		{ScheduledAt: time.Now().Add(-2 * time.Hour)},
		{Queue: "slow", ScheduledAt: time.Now().Add(time.Hour)},
		{Queue: "slow", Pending: true},
	} {
		_, err := client.Insert(t.Context(), queueJob{}, &opts)
		must(err)
	}
	// River's scheduler does this, when it runs.
	_, err = pool.Exec(t.Context(), `UPDATE "`+schema+`".river_job SET state = 'available' WHERE queue = 'default'`)
	must(err)

	var all metricdata.ResourceMetrics
	must(reader.Collect(t.Context(), &all))
	var got []string
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Gauge[int64]:
			for _, p := range data.DataPoints {
				got = append(got, fmt.Sprint(m.Name, " ", p.Attributes.Encoded(attribute.DefaultEncoder()), " ", p.Value))
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				age := time.Duration(p.Value * float64(time.Second)).Round(time.Hour)
				got = append(got, fmt.Sprint(m.Name, " ", p.Attributes.Encoded(attribute.DefaultEncoder()), " ", age))
			}
		}
	}
	slices.Sort(got)
	const name, system = "messaging.destination.name=", ",messaging.system=river"
	want := []string{
		"river.queue.oldest.age " + name + "default" + system + " 3h0m0s",
		"river.queue.oldest.age " + name + "slow" + system + " 0s",
	}
	for _, queue := range []string{"default available 2", "default pending 0", "default retryable 0", "default running 0", "default scheduled 0",
		"slow available 0", "slow pending 1", "slow retryable 0", "slow running 0", "slow scheduled 1"} {
		f := strings.Fields(queue)
		want = append(want, "river.queue.jobs "+name+f[0]+system+",river.job.state="+f[1]+" "+f[2])
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the gauges are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
