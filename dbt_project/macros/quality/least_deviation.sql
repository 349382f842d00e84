{#
    What the median absolute deviation of a metric of fct_anomalies is at least: 5 % of the median, and so much of each. Values that
    were always the same must not alarm on a cent.
#}
{% macro least_deviation() -%}
    greatest(
        cast(0.05 as double precision) * baseline_median,
        case metric
            when 'cost_usd' then cast(0.05 as double precision)
            when 'error_rate' then cast(0.01 as double precision)
            when 'mean_latency_ms' then cast(10 as double precision)
        end
    )
{%- endmacro %}
