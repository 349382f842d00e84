{#
    On each day fct_latency_histogram counts the operations whose metric is known, and its least and greatest percentiles are
    within 1 % of the least and the greatest value. What is negative counts as 0.
#}
{%- set days = days_to_check() %}
{%- set metrics = ['latency_ms', 'time_to_first_token_ms', 'output_tokens_per_second'] %}

with operations as (

    select
        operation_date,
        {%- for metric in metrics %}
        count({{ metric }}) as {{ metric }}_count,
        greatest(cast(min({{ metric }}) as double precision), 0) as least_{{ metric }},
        greatest(cast(max({{ metric }}) as double precision), 0) as greatest_{{ metric }},
        {%- endfor %}
        count(*) as operation_count
    from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}
    group by operation_date

),

measured as (

    {% for metric in metrics -%}
    select
        operation_date,
        '{{ metric }}' as metric,
        {{ metric }}_count as operation_count,
        least_{{ metric }} as least_value,
        greatest_{{ metric }} as greatest_value
    from operations
    where {{ metric }}_count > 0
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

histogram as (

    select * from {{ ref('fct_latency_histogram') }}
    where {{ falls_on(days) }}

),

percentiles as (

    {{ histogram_percentiles('histogram', by=['operation_date'], percentiles=[0, 1]) | indent }}

)

select
    coalesce(measured.operation_date, percentiles.operation_date) as operation_date,
    coalesce(measured.metric, percentiles.metric) as metric,
    measured.operation_count,
    percentiles.operation_count as histogram_operation_count
from measured
full outer join percentiles
    on measured.operation_date = percentiles.operation_date and measured.metric = percentiles.metric
where
    measured.operation_count is distinct from percentiles.operation_count
    or abs(percentiles.p0 - measured.least_value) > 0.01 * measured.least_value
    or abs(percentiles.p100 - measured.greatest_value) > 0.01 * measured.greatest_value
