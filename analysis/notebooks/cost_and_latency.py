"""A marimo notebook: what the models cost, how fast they answer and how often they fail, as charts over the marts.

Reads marts with `polars_from_db` from where CONNECTION_STRING and LLMOPS_WAREHOUSE say, and writes nothing. Open it
with `marimo run` or `marimo edit`; `app.run()` runs it with the filters' defaults, which let everything through.
"""
# marimo writes the signatures of cells, without types.
# mypy: disallow-untyped-defs=False

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="LLM cost and latency")

with app.setup:
    import datetime as dt
    import html
    from decimal import Decimal
    from typing import Any

    import altair as alt
    import marimo as mo
    import polars as pl

    from llmops_analysis import polars_from_db
    from llmops_ingest.errors import LlmopsError

    EVERY = {"day": "1d", "month": "1mo"}
    PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
    NONE = "(none)"
    MODELS_SHOWN, SESSIONS_SHOWN = 8, 10
    OTHERS = "all other models"
    # Colours that the colour-blind can tell apart too; grey is for the others.
    COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#5254A3"]
    GREY = "#B0B0B0"
    # The outline, of the bar's own colour, keeps a day visible among years of them, where it is thinner than a pixel.
    THIN_BARS: dict[str, Any] = {"binSpacing": 0, "strokeWidth": 1}


@app.cell(hide_code=True)
def _():
    mo.md("""
    # What the models cost, how fast they answer, how often they fail

    Everything here is read from the marts with `polars_from_db`: each cell is a starting point to copy and change.

    An unknown amount is unknown, never 0. An operation without a known cost is **unpriced**: it is left out of every
    sum and counted beside it.
    """)
    return


@app.cell(hide_code=True)
def _():
    try:
        slices = polars_from_db(
            "fct_daily_cost",
            group_by=["workspace", "provider"],
            aggregate={"first_date": ("operation_date", "min"), "last_date": ("operation_date", "max")},
        )
        problem = "The marts hold no operations yet." if slices.is_empty() else ""
    except LlmopsError as error:
        problem = str(error)
    mo.stop(bool(problem), nothing_to_show(problem))
    return (slices,)


@app.cell(hide_code=True)
def _(slices):
    _first, _last = slices["first_date"].min(), slices["last_date"].max()
    dates = mo.ui.date_range(start=_first, stop=_last, value=(_first, _last), label="Days")
    workspaces = mo.ui.multiselect(options=choices(slices["workspace"]), label="Workspaces")
    providers = mo.ui.multiselect(options=choices(slices["provider"]), label="Providers")
    period = mo.ui.dropdown(options=list(EVERY), value="day", label="Per")
    mo.vstack(
        [
            mo.hstack([dates, workspaces, providers, period], justify="start", wrap=True),
            mo.md("Where no workspace or provider is chosen, all are shown."),
        ]
    )
    return dates, period, providers, workspaces


@app.cell
def _(dates, providers, workspaces):
    filters = {
        "start_date": dates.value[0],
        "end_date": dates.value[1],
        "workspace": workspaces.value or None,
        "provider": providers.value or None,
    }
    _by = ["operation_date", "provider", "model"]
    _sums = dict.fromkeys(["operation_count", "unpriced_operation_count", "priced_tokens", "cost_usd"], "sum")
    daily_cost = polars_from_db("fct_daily_cost", **filters, group_by=_by, aggregate=_sums)
    _sums = dict.fromkeys(["operation_count", "timed_operation_count", "unknown_status_count", "error_count"], "sum")
    daily_latency = polars_from_db("fct_daily_latency", **filters, group_by=_by, aggregate=_sums)
    mo.stop(daily_cost.is_empty(), mo.callout(mo.md("No operation matches these filters."), kind="warn"))
    return daily_cost, daily_latency, filters


@app.cell(hide_code=True)
def _(daily_cost, daily_latency):
    _cost = daily_cost.select(pl.sum("operation_count", "unpriced_operation_count"), known_sum("cost_usd"))
    _outcome = daily_latency.select(pl.sum("error_count", "unknown_status_count"), error_rate())
    _days = daily_cost["operation_date"].n_unique()
    headline = _cost.row(0, named=True) | _outcome.row(0, named=True)
    _unpriced_share = headline["unpriced_operation_count"] / headline["operation_count"]
    _failed, _unknown = headline["error_count"], headline["unknown_status_count"]
    mo.hstack(
        [
            mo.stat(
                f"{headline['operation_count']:,}", label="Operations", caption=f"on {_days:,} days", bordered=True
            ),
            mo.stat(usd(headline["cost_usd"]), label="Cost", caption="of those whose cost is known", bordered=True),
            mo.stat(
                f"{headline['unpriced_operation_count']:,}",
                label="Unpriced operations",
                caption=f"{_unpriced_share:.1%} of all",
                bordered=True,
            ),
            mo.stat(
                percent(headline["error_rate"]),
                label="Error rate",
                caption=f"{_failed:,} failed" + (f", unknown of {_unknown:,}" if _unknown else ""),
                bordered=True,
            ),
        ],
        widths="equal",
    )
    return (headline,)


@app.cell(hide_code=True)
def _(period):
    mo.md(f"""
    ## Cost by {period.value} and model
    """)
    return


@app.cell
def _(daily_cost, filters, period):
    _priced = daily_cost.group_by(model_label()).agg(known_sum("cost_usd")).drop_nulls()
    _shown = _priced.sort("cost_usd", "series", descending=[True, False])["series"].head(MODELS_SHOWN).to_list()
    cost_by_model = (
        daily_cost.with_columns(model_label(), start_of(period.value))
        .with_columns(pl.when(pl.col("series").is_in(_shown)).then("series").otherwise(pl.lit(OTHERS)).alias("series"))
        .group_by("period", "series")
        .agg(known_sum("cost_usd"), pl.sum("operation_count", "unpriced_operation_count"))
        .sort("period", "series")
    )
    _names = [*_shown, OTHERS] if _priced.height > MODELS_SHOWN else _shown
    _colors = alt.Scale(domain=_names, range=[*COLORS[: len(_shown)], GREY])
    cost_chart = (
        alt.Chart(to_plot(cost_by_model.drop_nulls("cost_usd")))
        .mark_bar(**THIN_BARS)
        .encode(
            x=time_axis(filters, period.value),
            y=alt.Y("cost_usd:Q", title="Cost (USD)", axis=alt.Axis(format="$,~f", minExtent=60)),
            color=alt.Color(
                "series:N",
                title=None,
                scale=_colors,
                legend=alt.Legend(orient="bottom", columns=3, labelLimit=300),
            ),
            stroke=alt.Stroke("series:N", title=None, scale=_colors),
            tooltip=[period_tooltip(), "series", alt.Tooltip("cost_usd", format="$.6f"), "operation_count"],
        )
        .properties(width="container", height=280)
    )
    cost_chart if _shown else mo.callout(mo.md("No cost is known for these operations."), kind="neutral")
    return cost_by_model, cost_chart


@app.cell
def _(cost_by_model, filters, period):
    _counts = pl.sum("unpriced_operation_count", "operation_count")
    unpriced = cost_by_model.group_by("period").agg(_counts).sort("period")
    unpriced_chart = (
        alt.Chart(unpriced.filter(pl.col("unpriced_operation_count") > 0))
        .mark_bar(**THIN_BARS, color=GREY, stroke=GREY)
        .encode(
            x=time_axis(filters, period.value),
            y=alt.Y(
                "unpriced_operation_count:Q", title="Unpriced operations", axis=alt.Axis(tickMinStep=1, minExtent=60)
            ),
            tooltip=[period_tooltip(), "unpriced_operation_count", "operation_count"],
        )
        .properties(width="container", height=110)
    )
    mo.vstack([mo.md("What these sums leave out: the unpriced operations."), unpriced_chart])
    return unpriced, unpriced_chart


@app.cell
def _(daily_cost, daily_latency):
    _outcomes = daily_latency.group_by("provider", "model").agg(error_rate())
    models = (
        daily_cost.group_by("provider", "model")
        .agg(pl.sum("operation_count", "unpriced_operation_count", "priced_tokens"), known_sum("cost_usd"))
        .join(_outcomes, on=["provider", "model"], how="left", nulls_equal=True)
        .with_columns(
            pl.when(pl.col("priced_tokens") > 0)
            .then(1000 * pl.col("cost_usd").cast(pl.Float64) / pl.col("priced_tokens"))
            .alias("cost_per_1k_tokens_usd")
        )
        .sort(
            "cost_usd", "operation_count", "provider", "model", descending=[True, True, False, False], nulls_last=True
        )
    )
    mo.ui.table(
        models.select(
            "provider",
            "model",
            pl.col("operation_count").alias("operations"),
            pl.col("unpriced_operation_count").alias("unpriced"),
            pl.col("cost_usd").alias("cost"),
            pl.col("cost_per_1k_tokens_usd").alias("per 1,000 tokens"),
            pl.col("error_rate").alias("error rate"),
        ),
        format_mapping={
            "cost": usd,
            "per 1,000 tokens": lambda amount: usd(amount, unknown="unknown"),
            "error rate": percent,
        },
        selection=None,
        show_column_summaries=False,
        show_data_types=False,
    )
    return (models,)


@app.cell(hide_code=True)
def _(period):
    mo.md(f"""
    ## Latency percentiles by {period.value}

    Of one model's operations whose latency is known, failed ones included. Percentiles of days, workspaces or operation
    types cannot be added or averaged, so they are computed here from the single operations. The p99 of a handful of
    operations is merely the slowest of them. The lines break where there were none.
    """)
    return


@app.cell(hide_code=True)
def _(daily_latency):
    _timed = (
        daily_latency.group_by(model_label(), "provider", "model")
        .agg(pl.sum("timed_operation_count"), days=(pl.col("timed_operation_count") > 0).sum())
        .filter(pl.col("days") > 0)
        .sort("days", "timed_operation_count", "series", descending=[True, True, False])
    )
    mo.stop(_timed.is_empty(), mo.callout(mo.md("No latency is known for these operations."), kind="neutral"))
    _options = {row["series"]: (row["provider"], row["model"]) for row in _timed.iter_rows(named=True)}
    model = mo.ui.dropdown(options=_options, value=next(iter(_options)), label="Model", searchable=True)
    model
    return (model,)


@app.cell
def _(filters, model, period):
    _provider, _model = model.value
    latency = (
        read_operations(filters, provider=[_provider], model=[_model], columns=["operation_date", "latency_ms"])
        .drop_nulls("latency_ms")
        .group_by(start_of(period.value))
        .agg(
            pl.len().alias("timed_operation_count"),
            *(pl.col("latency_ms").quantile(share, "linear").alias(name) for name, share in PERCENTILES.items()),
        )
        .sort("period")
        .upsample("period", every=EVERY[period.value])
    )
    latency_chart = (
        alt.Chart(latency.unpivot(list(PERCENTILES), index=["period", "timed_operation_count"]))
        .mark_line(point=alt.OverlayMarkDef(size=25))
        .encode(
            x=time_axis(filters, period.value).bandPosition(0.5),
            y=alt.Y("value:Q", title="Latency (ms)", axis=alt.Axis(minExtent=60)),
            color=alt.Color(
                "variable:N",
                title=None,
                scale=alt.Scale(domain=list(PERCENTILES), range=["#0072B2", "#56B4E9", "#E69F00", "#D55E00"]),
                legend=alt.Legend(orient="bottom"),
            ),
            tooltip=[
                period_tooltip(),
                alt.Tooltip("variable", title="percentile"),
                alt.Tooltip("value", format=",.0f", title="latency in ms"),
                "timed_operation_count",
            ],
        )
        .properties(width="container", height=280)
    )
    latency_chart
    return latency, latency_chart


@app.cell(hide_code=True)
def _(period):
    mo.md(f"""
    ## Error rate by {period.value}

    Failed operations as a share of those of which it is known whether they failed. The more these are, the larger the
    dot.
    """)
    return


@app.cell
def _(daily_latency, filters, period):
    errors = (
        daily_latency.group_by(start_of(period.value))
        .agg(error_rate(), pl.sum("error_count", "unknown_status_count", "operation_count"))
        .with_columns(judged=pl.col("operation_count") - pl.col("unknown_status_count"))
        .sort("period")
    )
    _base = alt.Chart(errors.drop_nulls("error_rate")).encode(
        x=time_axis(filters, period.value).bandPosition(0.5),
        y=alt.Y("error_rate:Q", title="Error rate", axis=alt.Axis(format="~%", minExtent=60)),
        tooltip=[
            period_tooltip(),
            alt.Tooltip("error_rate", format=".2%"),
            "error_count",
            "operation_count",
            "unknown_status_count",
        ],
    )
    error_chart = (
        _base.mark_rule(color=COLORS[5])
        + _base.mark_circle(color=COLORS[5], opacity=0.8).encode(
            size=alt.Size("judged:Q", legend=None, scale=alt.Scale(rangeMin=20, rangeMax=120))
        )
    ).properties(width="container", height=180)
    error_chart
    return error_chart, errors


@app.cell(hide_code=True)
def _(filters):
    mo.md(f"""
    ## The most expensive sessions

    By what their operations cost from {filters["start_date"]} to {filters["end_date"]}, within the filters. To see
    these: `polars_from_db("fct_llm_operations", session_id="…", order_by="started_at")`.
    """)
    return


@app.cell
def _(filters):
    _session = ["session_id", "workspace", "agent_id"]
    sessions = (
        read_operations(
            filters,
            group_by=[*_session, "operation_date"],
            aggregate={
                "cost_usd": "sum",
                "operation_count": ("*", "count"),
                "priced_operation_count": ("cost_usd", "count"),
            },
        )
        .group_by(_session)
        .agg(known_sum("cost_usd"), pl.sum("operation_count", "priced_operation_count"))
        .drop_nulls("cost_usd")
        .sort("cost_usd", "session_id", descending=[True, False])
        .head(SESSIONS_SHOWN)
    )
    session_chart = (
        alt.Chart(to_plot(sessions.with_columns(pl.col("workspace").fill_null(NONE))))
        .mark_bar()
        .encode(
            x=alt.X("cost_usd:Q", title="Cost (USD)", axis=alt.Axis(format="$,~f", tickCount=6)),
            y=alt.Y("session_id:N", title=None, sort="-x", axis=alt.Axis(labelLimit=300)),
            color=alt.Color(
                "workspace:N", scale=alt.Scale(range=COLORS), legend=alt.Legend(orient="bottom", labelLimit=300)
            ),
            tooltip=[
                "session_id",
                "workspace",
                "agent_id",
                alt.Tooltip("cost_usd", format="$.6f"),
                "operation_count",
                "priced_operation_count",
            ],
        )
        .properties(width="container", height=22 * max(sessions.height, 1))
    )
    session_chart if sessions.height else mo.callout(mo.md("No session has a known cost."), kind="neutral")
    return session_chart, sessions


@app.function
def nothing_to_show(problem: str) -> mo.Html:
    """Return what to say instead of charts: the problem, and the commands that make marts."""
    ways = """
    `llmops load FILE` records operations, `llmops build` makes the marts, `llmops status` shows what is where.
    `CONNECTION_STRING` and `LLMOPS_WAREHOUSE` say where to look.
    """
    # Escaped, not Markdown: it may name a URL with *** for its password.
    said = [mo.md("**There is nothing to show yet.**"), mo.Html(f"<p>{html.escape(problem)}</p>"), mo.md(ways)]
    return mo.callout(mo.vstack(said), kind="warn")


@app.function
def choices(values: pl.Series) -> dict[str, str | None]:
    """Return the distinct values under their names; None, the operations without a value, comes last."""
    return {NONE if value is None else value: value for value in values.unique().sort(nulls_last=True)}


@app.function
def read_operations(filters: dict[str, Any], **wanted: Any) -> pl.DataFrame:
    """Return rows of `fct_llm_operations` on the business days of the filters, with `operation_date` among the columns.

    That mart is selected by time in UTC. A business day of another zone begins up to a day earlier or later, so a day
    more is read at both ends, and the days are selected here.
    """
    first, last = filters["start_date"], filters["end_date"]
    wider = {"start_date": first - dt.timedelta(days=1), "end_date": last + dt.timedelta(days=1)}
    operations = polars_from_db("fct_llm_operations", **(filters | wider | wanted))
    return operations.filter(pl.col("operation_date").is_between(first, last))


@app.function
def known_sum(column: str) -> pl.Expr:
    """Return the sum of the known values, unknown if none is (Polars' own sum would be 0)."""
    return pl.when(pl.col(column).count() > 0).then(pl.sum(column)).alias(column)


@app.function
def error_rate() -> pl.Expr:
    """Return failed operations by those of which it is known whether they failed, 0 to 1; unknown if it is of none."""
    judged = pl.sum("operation_count") - pl.sum("unknown_status_count")
    return pl.when(judged > 0).then(pl.sum("error_count") / judged).alias("error_rate")


@app.function
def model_label() -> pl.Expr:
    """Return provider and model as one name, `series`."""
    return pl.concat_str(pl.col("provider", "model").fill_null(NONE), separator=" / ").alias("series")


@app.function
def start_of(period: str) -> pl.Expr:
    """Return the first day of the period that each `operation_date` is in, as `period`."""
    return pl.col("operation_date").dt.truncate(EVERY[period]).alias("period")


@app.function
def to_plot(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with its money as floats: charts know no decimals."""
    return frame.with_columns(pl.col("cost_usd").cast(pl.Float64))


@app.function
def time_axis(filters: dict[str, Any], period: str) -> alt.X:
    """Return the x axis of all charts over time: true to time from the first day to the last, with the days between.

    It is at least a week wide, so that the bar of a single day does not fill the chart.
    """
    first, last = filters["start_date"], filters["end_date"]
    if period == "month":
        first = first.replace(day=1)
        last = (last.replace(day=1) + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    end = max(last, first + dt.timedelta(days=6)) + dt.timedelta(days=1)
    ticks = min((end - first).days, 10)
    unit: Any = "yearmonthdate" if period == "day" else "yearmonth"
    return alt.X(
        "period:T",
        timeUnit=unit,
        title=None,
        scale=alt.Scale(domain=[alt.DateTime(year=day.year, month=day.month, date=day.day) for day in (first, end)]),
        axis=alt.Axis(format="%Y-%m-%d", tickCount=ticks, labelOverlap=True, labelSeparation=10),
    )


@app.function
def period_tooltip() -> alt.Tooltip:
    """Return the period's first day, for a tooltip."""
    return alt.Tooltip("period:T", format="%Y-%m-%d")


@app.function
def usd(amount: Decimal | float | None, unknown: str = "unpriced") -> str:
    """Return an amount of US dollars as people read it: cents, or below one dollar six places."""
    if amount is None:
        return unknown
    return f"${amount:.6f}" if -1 < amount < 1 else f"${amount:,.2f}"


@app.function
def percent(share: float | None) -> str:
    """Return a share of 0 to 1 as a percentage."""
    return "unknown" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    app.run()
