{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail'
    )
}}

{%- set days = days_to_rebuild(built = 'select distinct operation_date, day_fingerprint from ' ~ this) %}
{%- set metrics = ['latency_ms', 'time_to_first_token_ms', 'output_tokens_per_second'] %}
{%- set dimensions = ['operation_date', 'workspace', 'provider', 'model', 'operation_type'] %}

-- Not copied, as a CTE that is read twice would be, with all its columns.
with operations as not materialized (

    select * from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}

),

days as (

    {{ day_fingerprints('operations') }}

),

placed as (

    select
        {%- for metric in metrics %}
        {{ histogram_bucket(metric) }} as {{ metric }}_bucket,
        {%- endfor %}
        {{ dimensions | join(',\n        ') }}
    from operations

),

-- A group has its row even if no metric is known of it: the table holds every day it was built from.
grouped as (

    select
        {%- for metric in metrics %}
        array_agg({{ metric }}_bucket) filter (where {{ metric }}_bucket is not null) as {{ metric }}_list,
        {%- endfor %}
        {{ dimensions | join(',\n        ') }}
    from placed
    group by {{ dimensions | join(', ') }}

),

counted as (

    {{ count_buckets('grouped', dimensions, metrics) | indent }}

),

final as (

    select
        counted.operation_date,
        counted.workspace,
        counted.provider,
        counted.model,
        counted.operation_type,

        {% for metric in metrics -%}
        counted.{{ metric }}_end,
        {% endfor -%}
        counted.buckets,
        counted.small_counts,
        counted.large_counts,

        days.day_fingerprint

    from counted
    inner join days on counted.operation_date = days.operation_date

)

select * from final
