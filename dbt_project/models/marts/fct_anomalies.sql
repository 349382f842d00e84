{#- What a median absolute deviation is at least: this share of the median, and this much of each metric. -#}
{%- set least_share = 0.05 -%}
{%- set least_mad = {'cost_usd': 0.05, 'error_rate': 0.01, 'mean_latency_ms': 10} -%}
{#- The median absolute deviation of a normal distribution is this many standard deviations. -#}
{%- set normal_mad = 'cast(0.6745 as double precision)' -%}
{%- set threshold = 'cast(' ~ var('anomaly_threshold') ~ ' as double precision)' -%}

with observed as (

    select * from {{ ref('int_metrics_observed') }}

),

compared as (

    select
        *,
        count(observed_value) over same_weekday as baseline_day_count,
        array_agg(observed_value) filter (where observed_value is not null) over same_weekday as baseline_values
    from observed
    window
        same_weekday as (
            partition by model_id, metric, iso_weekday
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
            cast({{ least_share }} as double precision) * baseline_median,
            case metric
                {%- for metric, least in least_mad.items() %}
                when '{{ metric }}' then cast({{ least }} as double precision)
                {%- endfor %}
            end
        ) as baseline_mad
    from centred

),

bounded as (

    select
        *,
        greatest(baseline_median - {{ threshold }} * baseline_mad / {{ normal_mad }}, 0) as lower_bound,
        baseline_median + {{ threshold }} * baseline_mad / {{ normal_mad }} as upper_bound,
        {{ normal_mad }} * (observed_value - baseline_median) / baseline_mad as robust_z_score
    from spread

),

-- A day that may not be over can have spent too much already, but not too little yet.
directed as (

    select
        *,
        case
            when observed_value > upper_bound then 'above'
            when observed_value < lower_bound and (is_over or metric <> 'cost_usd') then 'below'
        end as direction
    from bounded

),

final as (

    select
        {{ surrogate_key(['operation_date', 'provider', 'model', 'metric']) }} as anomaly_id,
        model_id,

        operation_date,
        provider,
        model,
        metric,
        direction,

        operation_count,
        baseline_day_count,

        observed_value,
        baseline_median,
        baseline_mad,
        lower_bound,
        upper_bound,
        robust_z_score,

        {{ anomaly_explanation() }} as explanation

    from directed
    where direction is not null

)

select * from final
