{#
    A query for percentiles from `histogram`: fct_latency_histogram, or a CTE of some of its rows. One row per metric and
    combination of the columns `by`, with operation_count and a column for each of the percentiles: p50 for 0.5, p99_9 for
    0.999. They are nearest-rank percentiles, as percentile_disc makes them of single operations, at most 1 % off. Ranks are
    compared in whole numbers: what p * n is as a double may be a little above what it should be, and one rank too high.
#}
{% macro histogram_percentiles(histogram, by, percentiles) -%}
    {%- set key = (by + ['metric']) | join(', ') -%}
    select
        {{ key }},
        cast(sum(operation_count) as bigint) as operation_count
        {%- for percentile in percentiles %}
        {%- set millionths = (percentile * 1000000) | round | int %},
        min(case when cumulated_count * 1000000 >= {{ millionths }} * total_count then bucket_value end)
            as p{{ ('%g' | format(millionths / 10000)) | replace('.', '_') }}
        {%- endfor %}
    from (
        select
            {{ key }},
            bucket_value,
            sum(operation_count) as operation_count,
            sum(sum(operation_count)) over (partition by {{ key }} order by bucket_value) as cumulated_count,
            sum(sum(operation_count)) over (partition by {{ key }}) as total_count
        from {{ histogram }}
        group by {{ key }}, bucket_value
    ) as cumulated
    group by {{ key }}
{%- endmacro %}
