{#- The median absolute deviation of a normal distribution is this many standard deviations. -#}
{%- set normal_mad = 'cast(0.6745 as double precision)' -%}
{%- set threshold = 'cast(' ~ var('anomaly_threshold') ~ ' as double precision)' -%}

with outcomes as (

    select * from {{ ref('fct_daily_outcomes') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

measured as (

    select
        model_id,
        provider,
        model,
        operation_date,
        cast(sum(operation_count) as bigint) as operation_count,
        {{ exact_double('cast(sum(cost_usd) as numeric(38, 12))') }} as cost_usd,
        {{ ratio_of_enough('error_count', 'known_status_count') }} as error_rate,
        {{ ratio_of_enough('total_latency_ms', 'timed_operation_count') }} as mean_latency_ms
    from outcomes
    group by model_id, provider, model, operation_date

),

models as (

    select
        model_id,
        provider,
        model,
        min(operation_date) as first_date,
        max(operation_date) as last_date
    from measured
    group by model_id, provider, model

),

-- Every day from a model's first until eight weeks after its last, after which nothing is usual.
observed as (

    select
        models.model_id,
        models.provider,
        models.model,
        dates.operation_date,
        dates.weekday_name,
        metrics.metric,
        coalesce(measured.operation_count, 0) as operation_count,
        case metrics.metric
            when 'cost_usd' then case when measured.model_id is null then 0 else measured.cost_usd end
            when 'error_rate' then measured.error_rate
            when 'mean_latency_ms' then measured.mean_latency_ms
        end as observed_value,
        max(dates.operation_date) over () as last_date
    from models
    cross join (values ('cost_usd'), ('error_rate'), ('mean_latency_ms')) as metrics (metric)
    inner join dates on dates.operation_date between models.first_date and models.last_date + 56
    left join measured on models.model_id = measured.model_id and dates.operation_date = measured.operation_date

),

compared as (

    select
        *,
        count(observed_value) over same_weekday as baseline_day_count,
        array_agg(observed_value) filter (where observed_value is not null) over same_weekday as baseline_values
    from observed
    window
        same_weekday as (
            partition by model_id, metric, weekday_name
            order by operation_date rows between 8 preceding and 1 preceding
        )

),

centred as (

    select
        *,
        {{ middle_of(sorted_values('baseline_values'), 'baseline_day_count') }} as baseline_median
    from compared
    where observed_value is not null and baseline_day_count >= 4

),

spread as (

    select
        *,
        greatest(
            {{ middle_of(sorted_deviations('baseline_values', 'baseline_median'), 'baseline_day_count') }},
            {{ least_deviation() }}
        ) as baseline_mad
    from centred

),

bounded as (

    select
        *,
        greatest(baseline_median - {{ threshold }} * baseline_mad / {{ normal_mad }}, 0) as lower_bound,
        baseline_median + {{ threshold }} * baseline_mad / {{ normal_mad }} as upper_bound
    from spread

),

-- The last day may not be over: it can have cost too much already, but not too little yet.
final as (

    select
        {{ surrogate_key(['operation_date', 'provider', 'model', 'metric']) }} as anomaly_id,
        model_id,
        operation_date,
        provider,
        model,
        metric,
        case when observed_value > upper_bound then 'above' else 'below' end as direction,
        operation_count,
        baseline_day_count,
        observed_value,
        baseline_median,
        baseline_mad,
        lower_bound,
        upper_bound,
        {{ normal_mad }} * (observed_value - baseline_median) / baseline_mad as robust_z_score,
        {{ anomaly_explanation() }} as explanation
    from bounded
    where
        observed_value > upper_bound
        or (observed_value < lower_bound and (operation_date < last_date or metric <> 'cost_usd'))

)

select * from final
