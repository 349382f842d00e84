with tallies as (

    select * from {{ ref('int_operations_tallied') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

daily as (

    select
        model_id,
        provider,
        model,
        operation_date,
        cast(sum(operation_count) as bigint) as operation_count,
        cast(sum(known_status_count) as bigint) as known_status_count,
        cast(sum(error_count) as bigint) as error_count,
        cast(sum(timed_operation_count) as bigint) as timed_operation_count,
        cast(sum(total_latency_ms) as bigint) as total_latency_ms,
        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd
    from tallies
    group by model_id, provider, model, operation_date

),

models as (

    select
        model_id,
        provider,
        model,
        min(operation_date) as first_date,
        max(operation_date) as last_date
    from daily
    group by model_id, provider, model

),

-- Every day from a model's first until eight weeks after its last, after which nothing is usual.
calendar as (

    select
        models.model_id,
        models.provider,
        models.model,
        dates.operation_date,
        dates.iso_weekday,
        dates.weekday_name,
        dates.operation_date < max(dates.operation_date) over () as is_over
    from models
    inner join dates on dates.operation_date between models.first_date and models.last_date + 56

),

final as (

    select
        calendar.*,
        metrics.metric,
        coalesce(daily.operation_count, 0) as operation_count,
        case
            when metrics.metric = 'cost_usd' and daily.model_id is null then 0
            when metrics.metric = 'cost_usd' then {{ exact_double('daily.cost_usd') }}
            when metrics.metric = 'error_rate' and daily.known_status_count >= {{ var('anomaly_min_operations') }}
                then cast(daily.error_count as double precision) / cast(daily.known_status_count as double precision)
            when metrics.metric = 'mean_latency_ms' and daily.timed_operation_count >= {{ var('anomaly_min_operations') }}
                then cast(daily.total_latency_ms as double precision) / cast(daily.timed_operation_count as double precision)
        end as observed_value
    from calendar
    cross join (values ('cost_usd'), ('error_rate'), ('mean_latency_ms')) as metrics (metric)
    left join daily
        on calendar.model_id = daily.model_id and calendar.operation_date = daily.operation_date

)

select * from final
